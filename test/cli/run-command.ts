/**
 * Runs the real `holdfast` command in a process of its own, without a controlling terminal. It is compiled once a test
 * file, because a process that compiles its sources first takes three times as long; that it runs from its sources too
 * is a test of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll } from 'vitest'

export const PASSWORD = 'correct horse battery staple'

const projectDir = fileURLToPath(new URL('../../', import.meta.url))
/** Inside the project, so that its dependencies are found. */
const cacheDir = join(projectDir, 'node_modules/.cache')

export const FROM_SOURCES: readonly string[] = [
  '--import',
  import.meta.resolve('tsx'),
  join(projectDir, 'src/cli/main.ts'),
]
export const COMPILED: readonly string[] = [await compile()]

async function compile(): Promise<string> {
  mkdirSync(cacheDir, { recursive: true })
  const dir = mkdtempSync(join(cacheDir, 'holdfast-cli-'))
  afterAll(() => rmSync(dir, { recursive: true, force: true }))
  await build({
    entryPoints: {
      'dist/cli/main': join(projectDir, 'src/cli/main.ts'),
      'dist/worker/entry': join(projectDir, 'src/worker/entry.ts'),
    },
    outdir: dir,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20.19',
    logLevel: 'warning',
  })
  cpSync(join(projectDir, 'migrations'), join(dir, 'migrations'), { recursive: true })
  cpSync(join(projectDir, 'package.json'), join(dir, 'package.json'))
  return join(dir, 'dist/cli/main.js')
}

export interface CommandOptions {
  readonly args: readonly string[]
  /** Default: the right password. */
  readonly password?: string | null
  readonly env?: Readonly<Record<string, string>>
  readonly input?: string
  /** Default: compiled. */
  readonly program?: readonly string[]
}

export interface CommandRun {
  readonly stdout: string
  readonly stderr: string
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
}

export async function holdfast(...args: readonly string[]): Promise<CommandRun> {
  return await runCommand({ args })
}

export async function runCommand(options: CommandOptions): Promise<CommandRun> {
  const child = startCommand(options)
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(options.input ?? '')
  const [stdout, stderr, { exitCode, signal }] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    endOf(child),
  ])
  return { stdout, stderr, exitCode, signal }
}

/** `detached` makes a session of its own, so that a prompt can't reach the terminal of whoever runs the tests. */
export function startCommand(options: CommandOptions, stdout: 'pipe' | number = 'pipe'): ChildProcess {
  return spawn(process.execPath, [...(options.program ?? COMPILED), ...options.args], {
    env: environmentOf(options),
    stdio: ['pipe', stdout, 'pipe'],
    detached: true,
  })
}

export function environmentOf({ password = PASSWORD, env }: CommandOptions): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    ...(password === null ? {} : { HOLDFAST_PASSWORD: password }),
    ...env,
  }
}

export function endOf(child: ChildProcess): Promise<Pick<CommandRun, 'exitCode' | 'signal'>> {
  return new Promise((resolve) => child.on('close', (exitCode, signal) => resolve({ exitCode, signal })))
}

async function textOf(stream: NodeJS.ReadableStream | null): Promise<string> {
  let text = ''
  if (stream !== null) for await (const chunk of stream) text += String(chunk)
  return text
}
