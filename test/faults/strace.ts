/** strace as a source of faults: it makes chosen system calls of a program fail, or kills the program in them. */
import { spawnSync } from 'node:child_process'

export const hasStrace = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true']).status === 0
export const WITHOUT_STRACE = 'skipped: strace is missing or may not trace here'

/** The command that runs a program with `fault`, such as `fsync:error=EIO:when=5+3`. */
export function withFault(fault: string): string[] {
  return ['strace', '-f', '--seccomp-bpf', '-qq', '-o', '/dev/null', '-e', `inject=${fault}`]
}
