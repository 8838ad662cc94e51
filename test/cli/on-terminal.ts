/** Runs the real command on a pseudo terminal that Python's `pty` makes: waits for what is expected, then types. */
import { spawn, spawnSync } from 'node:child_process'
import { COMPILED, type CommandOptions, environmentOf } from './run-command.ts'

export interface Step {
  /** Wait until this has appeared since the last step. */
  readonly expect: string
  readonly send: string
}

export interface TerminalRun {
  /** Everything the terminal showed. */
  readonly screen: string
  /** As a shell would report it: 128 and more for a signal. */
  readonly exitCode: number
  readonly echoIsOn: boolean
}

const DRIVER = `
import fcntl, json, os, pty, select, signal, struct, sys, termios, time
job = json.loads(sys.stdin.read())
pid, fd = pty.fork()
if pid == 0:
    os.execvpe(job["argv"][0], job["argv"], job["env"])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, job["columns"], 0, 0))
screen, mark, steps = b"", 0, job["steps"]
deadline = time.time() + 60
while time.time() < deadline:
    ready, _, _ = select.select([fd], [], [], 0.1)
    if ready:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        screen += data
    found = screen.find(steps[0]["expect"].encode(), mark) if steps else -1
    if found >= 0:
        step = steps.pop(0)
        mark = found + len(step["expect"].encode())
        os.write(fd, step["send"].encode())
else:
    os.kill(pid, signal.SIGKILL)
echo = bool(termios.tcgetattr(fd)[3] & termios.ECHO)
_, status = os.waitpid(pid, 0)
code = 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
print(json.dumps({"screen": screen.decode("utf8", "replace"), "exitCode": code, "echoIsOn": echo, "waitingFor": [s["expect"] for s in steps]}))
`

/** Why tests on a terminal are skipped, if they are. */
export const noTerminalReason =
  spawnSync('python3', ['-c', 'import pty']).status === 0 ? undefined : 'no python3 with pty'

export async function runOnTerminal(
  options: CommandOptions & { readonly steps: readonly Step[]; readonly columns?: number },
): Promise<TerminalRun> {
  const job = {
    argv: [process.execPath, ...COMPILED, ...options.args],
    env: { TERM: 'xterm', ...environmentOf(options) },
    steps: options.steps,
    columns: options.columns ?? 100,
  }
  const child = spawn('python3', ['-c', DRIVER], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify(job))
  let output = ''
  for await (const chunk of child.stdout) output += String(chunk)
  const { waitingFor, ...run } = JSON.parse(output) as TerminalRun & { readonly waitingFor: readonly string[] }
  if (waitingFor.length > 0) throw new Error(`never shown: ${waitingFor.join(' | ')}\n${run.screen}`)
  return run
}
