/**
 * A process that dies while it archives trades loses none and doubles none: at any moment each trade, order and fill is
 * in exactly one place, and the next run takes up where it ended. What it leaves on the disk is ciphertext.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { openStore } from './compiled-store.ts'
import { reportFigures, seededRandom, shortOrLong } from './fault-run.ts'
import { Secrets } from './needles.ts'
import { codeOf } from './refusal.ts'
import { canMount, SmallDisk, WITHOUT_MOUNT } from './small-disk.ts'
import { KDF, PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { closedAt, roundTrip } from './traded-year.ts'

const LONG_TEST_MS = 1_200_000
const TRADES = 200
const ALL = { includeArchived: true } as const
const trips = Array.from({ length: TRADES }, (_, n) => roundTrip(n))
const expected = {
  trades: trips.map(({ trade }) => trade),
  orders: trips.flatMap(({ orders }) => orders),
  fills: trips.flatMap(({ fills }) => fills),
}

function archiver(dir: string, before: number, failpoint?: string): ChildProgram {
  return ChildProgram.start('trade-archiver', {
    arguments: { dir, before, trades: TRADES },
    environment: failpoint === undefined ? {} : { HOLDFAST_FAILPOINT: failpoint },
  })
}

/** Every document once, whatever has moved; returns how many trades are still where they were. */
async function expectWhole(dir: string): Promise<number> {
  const store = await openStore({ dir, password: PASSWORD, create: false })
  try {
    const byId = <T extends { readonly id: string }>(documents: readonly T[]) =>
      documents.toSorted((a, b) => (a.id < b.id ? -1 : 1))
    expect(await store.trades.list({ orderBy: 'closedAt', ...ALL })).toEqual(expected.trades)
    expect(byId(await store.orders.list(ALL))).toEqual(byId(expected.orders))
    expect(byId(await store.fills.list(ALL))).toEqual(byId(expected.fills))
    const left = await store.trades.count()
    // Whatever has moved, has moved with its orders and fills.
    expect([await store.orders.count(), await store.fills.count()]).toEqual([2 * left, 2 * left])
    expect((await store.check()).filter(({ severity }) => severity === 'error')).toEqual([])
    return left
  } finally {
    await store.close()
  }
}

/** What must not be found in any file. */
function expectNoPlaintext(dir: string): void {
  const secrets = new Secrets({
    trade: 'archived-trade-00007',
    position: 'archived-position-0000',
    fill: 'archived-fill-00123-1',
    symbol: 'ARCHIVED/PAIR',
    password: PASSWORD,
  })
  expect(secrets.findBelow(dir)).toEqual([])
}

test.each([
  ['archive-trades:file-made', 2],
  ['archive-trades:copied', 1],
  ['archive-trades:before-commit', 2],
  ['archive-trades:moved', 2],
])('a process killed at %s leaves each document once, and the next run ends what it began', async (name, hit) => {
  const dir = join(temporaryDirectory(), 'store')
  const killed = archiver(dir, closedAt(TRADES), `${name}=kill@${hit}`)
  expect(await killed.ended, killed.errorText).toEqual({ code: null, signal: 'SIGKILL' })
  expectNoPlaintext(dir)
  expect(await expectWhole(dir)).toBeGreaterThan(0)
  const next = archiver(dir, closedAt(TRADES))
  expect(await next.ended, next.errorText).toEqual({ code: 0, signal: null })
  expect(await expectWhole(dir)).toBe(0)
  expectNoPlaintext(dir)
})

test(
  'so do processes killed one after the other, at any moment, with the cut going on',
  async () => {
    const random = seededRandom('archive trades')
    const points = ['file-made', 'copied', 'before-commit', 'moved'] as const
    const target = shortOrLong(3, 110)
    let kills = 0
    while (kills < target) {
      const dir = join(temporaryDirectory(), 'store')
      for (let round = 1; round <= 8 && kills < target; round++) {
        const before = closedAt(Math.floor((TRADES * round) / 8))
        const isNamed = random.between(0, 1) === 0
        const failpoint = `archive-trades:${random.pick(points)}=kill@${random.between(1, 3)}`
        const program = isNamed ? archiver(dir, before, failpoint) : archiver(dir, before)
        if (!isNamed) {
          const afterMs = random.between(0, 40)
          void program.line('ready').then(() => setTimeout(() => program.kill('SIGKILL'), afterMs))
        }
        const { signal, code } = await program.ended
        if (signal === 'SIGKILL') kills += 1
        else expect(code, program.errorText).toBe(0)
        await expectWhole(dir)
      }
      expectNoPlaintext(dir)
    }
    reportFigures(`archiving of trades: ${kills} kills, every document there once after each`)
  },
  LONG_TEST_MS,
)

test.skipIf(!canMount)(
  `a full disk ends it with DISK_FULL and nothing lost; with room again it goes on (${canMount ? 'on a tmpfs' : WITHOUT_MOUNT})`,
  async () => {
    const disk = new SmallDisk(24 * 1024 * 1024)
    const dir = join(disk.dir, 'store')
    const store = await openStore({ dir, password: PASSWORD, kdf: KDF })
    for (const { trade, orders, fills } of trips) {
      void store.transaction((tx) => {
        for (const order of orders) tx.orders.insert(order)
        for (const fill of fills) tx.fills.insert(fill)
        tx.trades.insert(trade)
      })
    }
    await store.flush()
    disk.fill(64 * 1024)
    expect(await codeOf(store.archiveTrades({ before: closedAt(TRADES) }))).toBe('DISK_FULL')
    expect(await store.trades.list({ orderBy: 'closedAt', ...ALL })).toEqual(expected.trades)
    disk.free()
    expect(await store.archiveTrades({ before: closedAt(TRADES) })).toMatchObject({ kept: {} })
    await store.close()
    expect(await expectWhole(dir)).toBe(0)
  },
  LONG_TEST_MS,
)
