import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { holdfast, runCommand } from './run-command.ts'
import { makeStore, temporaryDirectory } from './test-store.ts'

const dir = await makeStore(async ({ skills }) => {
  await skills.save({ name: 'zscore', kind: 'code', content: 'export const zScore = 1\n' })
  await skills.save({
    name: 'fade',
    description: 'Fades moves',
    content: 'mean reversion \u001b[31m of BTC',
    tags: ['live', 'btc'],
    dependencies: ['zscore'],
  })
  await skills.recordPerformance('fade', { sharpe: 1.5 })
})

const json = async (...args: string[]) => {
  const { exitCode, stdout, stderr } = await holdfast('skill', ...args, '--dir', dir, '--json')
  expect(exitCode, stderr).toBe(0)
  return JSON.parse(stdout)
}

describe('skill', () => {
  test('search finds with filters, and shows where', async () => {
    expect(await json('search', 'rever*', 'btc', '--tag', 'LIVE', '--min-sharpe', '1')).toMatchObject([
      { name: 'fade', version: 1, sharpe: 1.5, snippet: 'mean [reversion] \u001b[31m of [BTC]' },
    ])
    expect(await json('search', 'fade', '--min-sharpe', '2')).toEqual([])
    expect(await json('search', 'zScore', 'moves', '--any')).toHaveLength(2)
    const { stdout } = await holdfast('skill', 'search', 'mean reversion', '--dir', dir)
    expect(stdout).toMatch(/name .*found/)
    expect(stdout).toContain('[mean] [reversion]')
    expect(stdout).not.toContain('\u001b')
    expect((await holdfast('skill', 'search', '--dir', dir, '--', '-grid')).exitCode).toBe(2)
  })

  test('get gives the content as it is; history, dependencies and performance tell about it', async () => {
    const got = await holdfast('skill', 'get', 'zscore', '--dir', dir)
    expect([got.exitCode, got.stdout]).toEqual([0, 'export const zScore = 1\n'])
    expect(await json('get', 'fade@1')).toMatchObject({
      tags: ['btc', 'live'],
      dependencies: [{ name: 'zscore' }],
    })
    for (const name of ['nobody', 'fade@2'])
      expect((await holdfast('skill', 'get', name, '--dir', dir)).exitCode).toBe(3)
    expect((await holdfast('skill', 'dependencies', 'fade', '--dir', dir)).stdout).toBe('zscore@1\n')
    expect(await json('performance', 'fade')).toMatchObject({ records: 1, metrics: { sharpe: { last: 1.5 } } })
    expect((await holdfast('skill', 'history', 'fade', '--dir', dir)).stdout).toMatch(/version +saved +kind[\s\S]*text/)
    expect((await json('list', '--kind', 'code')).map(({ name }: { name: string }) => name)).toEqual(['zscore'])
  })

  test('save, record and delete change what is there', async () => {
    const own = await makeStore()
    const file = join(temporaryDirectory(), 'base.ts')
    writeFileSync(file, 'let a = 1')
    const at = ['--dir', own] as const
    expect((await holdfast('skill', 'save', 'base', '--file', file, '--kind', 'code', ...at)).stdout).toBe(
      'Version 1 saved.\n',
    )
    expect((await holdfast('skill', 'save', 'base', '--file', file, '--kind', 'code', ...at)).stdout).toBe(
      'Version 1 is the same.\n',
    )
    const top = [
      'skill',
      'save',
      'top',
      '--depends-on',
      'base@1',
      '--tag',
      'a',
      '--tag',
      'b',
      '--metadata',
      '{"n":1}',
      ...at,
    ]
    expect((await runCommand({ args: top, input: 'text' })).exitCode).toBe(0)
    const shown = await holdfast('skill', 'get', 'top', ...at, '--json')
    expect(JSON.parse(shown.stdout)).toMatchObject({
      content: 'text',
      tags: ['a', 'b'],
      metadata: { n: 1 },
      dependencies: [{ name: 'base', version: 1 }],
    })
    const recorded = await holdfast('skill', 'performance', 'top', '--record', 'sharpe=-0.5', '--record', 'n=3', ...at)
    expect(recorded.stdout).toBe('Recorded.\n')
    expect((await holdfast('skill', 'performance', 'top', ...at)).stdout).toMatch(/sharpe +1 +-0.5/)
    expect((await holdfast('skill', 'performance', 'top', '--record', 'sharpe=much', ...at)).exitCode).toBe(2)
    expect((await holdfast('skill', 'delete', 'base', ...at)).exitCode).toBe(10)
    expect((await holdfast('skill', 'delete', 'top', ...at)).stdout).toBe('Deleted.\n')
    expect((await holdfast('skill', 'delete', 'top', ...at)).exitCode).toBe(3)
  })
})
