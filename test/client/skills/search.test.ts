/** Search: what is found, in what order, and that no text is a syntax error. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isStoreError } from '../../../src/index.ts'
import { codeOf, openSharedStore, openTempStore } from '../fixtures/temp-store.ts'

const { skills } = await openSharedStore()

await skills.saveMany([
  {
    name: 'btc-mean-reversion',
    kind: 'code',
    description: 'Fades moves away from the average of BTC',
    content: 'export function meanReversion(bars) { return zScore(bars) > 2 ? "sell" : "hold" }',
    tags: ['BTC', 'live'],
  },
  {
    name: 'eth-momentum',
    kind: 'code',
    description: 'Rides trends of ETH; gives way to mean reversion in quiet markets',
    content: 'if (breakout(bars)) buy(ETH)',
    tags: ['eth'],
  },
  {
    name: 'notes on reversion',
    description: 'Café talk',
    content: 'Prices revert. Reversal is not reversion. Grid trading is something else. ÉTUDE.',
    tags: ['essay', 'live'],
  },
])
await skills.recordPerformance('btc-mean-reversion', { sharpe: 1.5 })
await skills.recordPerformance('eth-momentum', { sharpe: 0.4 })

const found = async (text: string, options = {}) => (await skills.search(text, options)).map(({ name }) => name).sort()

describe('finds', () => {
  test.each<[string, string[]]>([
    ['reversion', ['btc-mean-reversion', 'eth-momentum', 'notes on reversion']],
    ['mean reversion', ['btc-mean-reversion', 'eth-momentum']],
    ['"mean reversion"', ['btc-mean-reversion', 'eth-momentum']],
    ['"reversion mean"', []],
    ['meanReversion', ['btc-mean-reversion', 'eth-momentum']],
    ['mean_reversion', ['btc-mean-reversion', 'eth-momentum']],
    ['z score', ['btc-mean-reversion']],
    ['rever*', ['btc-mean-reversion', 'eth-momentum', 'notes on reversion']],
    ['reversa*', ['notes on reversion']],
    ['"mean rever"*', ['btc-mean-reversion', 'eth-momentum']],
    ['"mean rever*"', ['btc-mean-reversion', 'eth-momentum']],
    ['CAFE', ['notes on reversion']],
    ['étude', ['notes on reversion']],
    ['reversion -grid', ['btc-mean-reversion', 'eth-momentum']],
    ['reversion NOT "grid trading"', ['btc-mean-reversion', 'eth-momentum']],
    ['breakout OR grid', ['eth-momentum', 'notes on reversion']],
    ['reversion breakout OR grid', ['eth-momentum', 'notes on reversion']],
    ['breakout AND eth', ['eth-momentum']],
    ['essay', ['notes on reversion']],
    ['nothing-like-it', []],
    ['reversion "', ['btc-mean-reversion', 'eth-momentum', 'notes on reversion']],
    ['reversion ( ^ : { }', ['btc-mean-reversion', 'eth-momentum', 'notes on reversion']],
    ['name:reversion', []],
  ])('%s', async (text, names) => {
    expect(await found(text)).toEqual(names)
  })

  test('any of the words where that is asked for', async () => {
    expect(await found('breakout grid', { match: 'any' })).toEqual(['eth-momentum', 'notes on reversion'])
    expect(await found('breakout grid')).toEqual([])
  })

  test('what the filters let through', async () => {
    expect(await found('reversion', { minSharpe: 0.4 })).toEqual(['btc-mean-reversion', 'eth-momentum'])
    expect(await found('reversion', { minSharpe: 1 })).toEqual(['btc-mean-reversion'])
    expect(await found('reversion', { tags: ['btc', 'LIVE'] })).toEqual(['btc-mean-reversion'])
    expect(await found('reversion', { kind: 'text' })).toEqual(['notes on reversion'])
    expect(await found('reversion', { kind: 'text', minSharpe: 0 })).toEqual([])
    expect(await found('', { tags: ['live'] })).toEqual(['btc-mean-reversion', 'notes on reversion'])
    expect(await found(' ?! ', {})).toHaveLength(3)
    expect(await found('reversion', { limit: 1 })).toHaveLength(1)
    expect(await found('reversion', { limit: 0 })).toEqual([])
  })

  test('the best first: a name says more than a tag, a tag more than a description', async () => {
    const matches = await skills.search('mean reversion')
    expect(matches.map(({ name }) => name)).toEqual(['btc-mean-reversion', 'eth-momentum'])
    expect(matches[0]?.score).toBeGreaterThan(matches[1]?.score as number)
    expect((await skills.search('btc')).map(({ name }) => name)[0]).toBe('btc-mean-reversion')
  })

  test('with the place where it was found', async () => {
    const [match] = await skills.search('grid')
    expect(match?.snippet).toContain('[Grid] trading')
    const [marked] = await skills.search('"grid trading"', { highlight: ['<b>$&', '</b>'], snippetTokens: 4 })
    expect(marked?.snippet).toContain('<b>$&Grid trading</b>')
    expect(marked?.snippet).toMatch(/^….*…$/)
    const [named] = await skills.search('essay')
    expect(named?.snippet).toBe('Café talk')
  })

  test('the current version only, and nothing of what was deleted', async () => {
    const own = await openTempStore()
    await own.skills.save({ name: 'x', content: 'aardvark' })
    await own.skills.save({ name: 'x', content: 'bumblebee' })
    expect(await own.skills.search('aardvark')).toEqual([])
    expect(await own.skills.search('bumblebee')).toHaveLength(1)
    await own.skills.delete('x')
    expect(await own.skills.search('bumblebee')).toEqual([])
    expect(await own.skills.search('x')).toEqual([])
    const left = await own.sql(
      `select count(*) n from "_skillSearch_data" where instr(block, cast('ardvark' as blob)) + instr(block, cast('umblebee' as blob))`,
    )
    expect(left).toEqual([{ n: 0 }])
    expect(await own.check()).toEqual([])
  })
})

describe('refuses', () => {
  test.each([
    ['what only excludes', '-grid'],
    ['what only excludes, in words', 'NOT grid'],
    ['what is too long', 'x'.repeat(1_001)],
    ['too many words', Array(65).fill('w').join(' ')],
  ])('%s', async (_, text) => {
    expect(await codeOf(skills.search(text))).toBe('INVALID_QUERY')
  })

  test.each([
    ['a number', 1, {}],
    ['an option nobody knows', 'x', { order: 'asc' }],
    ['a limit that is none', 'x', { limit: -1 }],
    ['a Sharpe ratio that is none', 'x', { minSharpe: Number.NaN }],
    ['tags that are no list', 'x', { tags: 'btc' }],
  ])('%s', async (_, text, options) => {
    expect(await codeOf(skills.search(text as never, options as never))).toBe('INVALID_ARGUMENT')
  })
})

describe('whatever is typed', () => {
  const syntax = fc.constantFrom(
    ...[
      '"',
      '*',
      '^',
      '-',
      '(',
      ')',
      '{',
      '}',
      ':',
      '+',
      ',',
      '\\',
      "'",
      ';',
      '--',
      '/*',
      '\0',
      '\u{1}',
      '\ud800',
      '\udc00',
    ],
    ...[
      'AND',
      'OR',
      'NOT',
      'NEAR',
      'NEAR(a b, 2)',
      'rank',
      'name:',
      '{name tags}:',
      'reversion',
      'rever*',
      ' ',
      '  ',
      '\n',
    ],
    ...['é', '中文', '😀', '\u0301', '\u200d', '\ue000', '$.', '?', '?1', '@a', '%', '_'],
  )
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc.array(syntax, { maxLength: 30 }).map((parts) => parts.join('')),
    fc.array(syntax, { maxLength: 30 }).map((parts) => parts.join(' ')),
  )

  test('search answers, or says that it can not be asked this', async () => {
    await fc.assert(
      fc.asyncProperty(text, fc.constantFrom('all', 'any'), async (typed, match) => {
        try {
          await skills.search(typed, { match: match as 'all' })
        } catch (error) {
          if (!isStoreError(error) || error.code !== 'INVALID_QUERY') throw error
        }
      }),
      { numRuns: 1_500 },
    )
  })

  test('a word of a skill finds it, whatever stands around the word', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('"', '*', '(', ')', '^', ':', '{', '}', ',', ';', "'", '!'), { maxLength: 8 }),
        async (noise) => {
          const names = await found(`${noise.join(' ')} breakout`)
          if (!names.includes('eth-momentum')) throw new Error('not found')
        },
      ),
      { numRuns: 200 },
    )
  })
})
