/**
 * What a writer does under load: an endless list of writes that follows from a seed, with the outcome of each. The
 * writer carries it out, the test derives from the same seed what the store has to hold after every one of them.
 */
import type { StoreErrorCode } from '../../src/protocol/store-error.ts'
import type { DatabaseFile } from '../../src/schema/database-file.ts'
import { Random } from './random.ts'

export interface Write {
  /** Also the property of the store. */
  readonly collection: string
  readonly kind: 'put' | 'insert' | 'delete'
  readonly key: string
  readonly document: Readonly<Record<string, unknown>> | undefined
  readonly ifVersion?: number
}

export interface Step {
  readonly index: number
  readonly file: DatabaseFile
  readonly how: 'single' | 'blocking' | 'insertMany' | 'transaction'
  readonly writes: readonly Write[]
  readonly outcome: 'durable' | StoreErrorCode
}

export interface WorkloadOptions {
  readonly seed: string
  /** Keys that a round writes once bear its number. */
  readonly round: number
  /** True when the store has the migration that checks the strategies of trades. */
  readonly guarded: boolean
}

const BASE_ORDERS = 8
/** In each stretch of so many steps the last ones bring some that fail: then batches have to go unit by unit. */
const STRETCH_STEPS = 400
const CALM_STEPS = 330
const SYMBOLS = ['BTC/USDT', 'ETH/USDT', 'XRP/USDT'] as const

type StepDraft = Omit<Step, 'index' | 'file'> & { readonly file?: DatabaseFile }

export function* workload({ seed, round, guarded }: WorkloadOptions): Generator<Step> {
  const random = new Random(seed, 'workload', round)
  const drafts = new Drafts(random, round)
  let index = 0
  const number = (draft: StepDraft): Step => ({ file: 'state', ...draft, index: index++ })
  yield number(drafts.baseOrders())
  yield number(drafts.firstFill())
  yield number(drafts.firstUser())
  const good = drafts.durable()
  const all = [...good, ...drafts.failing(guarded)]
  while (true) yield number(pickWeighted(index % STRETCH_STEPS < CALM_STEPS ? good : all, random)())
}

type Maker = () => StepDraft

function pickWeighted(makers: readonly (readonly [number, Maker])[], random: Random): Maker {
  let at = random.below(makers.reduce((sum, [weight]) => sum + weight, 0))
  const picked = makers.find(([weight]) => {
    at -= weight
    return at < 0
  })
  return (picked as readonly [number, Maker])[1]
}

class Drafts {
  readonly #random: Random
  readonly #round: number
  readonly #guardedVersion = { kv: 0, trades: 0 }
  #count = 0

  constructor(random: Random, round: number) {
    this.#random = random
    this.#round = round
  }

  durable(): (readonly [number, Maker])[] {
    return [
      [30, () => this.#single(this.#putKv())],
      [14, () => this.#single(this.#putPosition())],
      [8, () => this.#single(this.#insertFill())],
      [12, () => this.#taggedTransaction()],
      [4, () => this.#insertFills()],
      [6, () => this.#single(this.#delete('kv', `pool-${this.#random.below(40)}`))],
      [3, () => this.#single(this.#delete('positions', `pool-${this.#random.below(20)}`))],
      [3, () => this.#single(this.#putWatchlist())],
      [1, () => this.#single(this.#delete('watchlist', `S${this.#random.below(12)}`))],
      [2, () => this.#single(this.#putWallet())],
      [3, () => this.#guardedPut('kv')],
      [2, () => this.#guardedPut('trades')],
      [5, () => this.#single(this.#putTick(), 'market')],
      [3, () => this.#insertTicks()],
      [1, () => this.#single(this.#delete('ticks', `pool-${this.#random.below(50)}`), 'market')],
      [1, () => ({ ...this.#single(this.#putKv()), how: 'blocking' })],
    ]
  }

  failing(guarded: boolean): (readonly [number, Maker])[] {
    const makers: (readonly [number, Maker])[] = [
      [1, () => this.#repeatedInsert()],
      [1, () => this.#fillOfNoOrder()],
      [1, () => this.#takenEmail()],
      [1, () => this.#staleVersion()],
      [1, () => this.#transactionThatFails()],
    ]
    if (guarded) makers.push([2, () => this.#unknownStrategy()])
    return makers
  }

  baseOrders(): StepDraft {
    const writes = Array.from({ length: BASE_ORDERS }, (_, n) =>
      this.#insert('orders', `r${this.#round}-o${n}`, {
        id: `r${this.#round}-o${n}`,
        clientOrderId: `r${this.#round}-c${n}`,
        symbol: 'BTC/USDT',
        side: 'buy',
        state: 'open',
        quantity: '1',
      }),
    )
    return { how: 'transaction', writes, outcome: 'durable' }
  }

  firstFill(): StepDraft {
    const id = `r${this.#round}-first`
    return this.#single(this.#insert('fills', id, { ...this.#fill(id), orderId: `r${this.#round}-o0` }))
  }

  firstUser(): StepDraft {
    const id = `r${this.#round}-user`
    return this.#single(this.#put('users', id, { id, email: `r${this.#round}@example.com` }))
  }

  #put(collection: string, key: string, document: Write['document']): Write {
    return { collection, kind: 'put', key, document }
  }

  #insert(collection: string, key: string, document: Write['document']): Write {
    return { collection, kind: 'insert', key, document }
  }

  #delete(collection: string, key: string): Write {
    return { collection, kind: 'delete', key, document: undefined }
  }

  #single(write: Write, file: DatabaseFile = 'state'): StepDraft {
    return { how: 'single', file, writes: [write], outcome: 'durable' }
  }

  #failing(how: Step['how'], writes: readonly Write[], outcome: StoreErrorCode): StepDraft {
    return { how, writes, outcome }
  }

  /** A key that occurs once. */
  #newKey(): string {
    this.#count += 1
    return `r${this.#round}-${this.#count}`
  }

  #tag(): string {
    return this.#random.text(this.#random.between(5, 60))
  }

  #putKv(): Write {
    const key = `pool-${this.#random.below(40)}`
    const value = { tag: this.#tag(), numbers: Array.from({ length: this.#random.below(30) }, (_, n) => n * 1.5) }
    return this.#put('kv', key, { key, value })
  }

  #putPosition(tag = this.#tag()): Write {
    const id = `pool-${this.#random.below(20)}`
    return this.#put('positions', id, {
      id,
      symbol: this.#random.pick(SYMBOLS),
      side: 'long',
      quantity: `${this.#random.between(1, 999)}.50`,
      entryPrice: '46319.00',
      metadata: { tag },
    })
  }

  #fill(id: string, tag = this.#tag()) {
    return {
      id,
      orderId: `r${this.#round}-o${this.#random.below(BASE_ORDERS)}`,
      price: '0.10000000',
      quantity: `${this.#random.between(1, 99)}`,
      filledAt: 1_700_000_000_000 + this.#count,
      metadata: { tag },
    }
  }

  #insertFill(): Write {
    const id = this.#newKey()
    return this.#insert('fills', id, this.#fill(id))
  }

  #insertFills(): StepDraft {
    const writes = Array.from({ length: this.#random.between(2, 40) }, () => this.#insertFill())
    return { how: 'insertMany', writes, outcome: 'durable' }
  }

  /** A fill, its order and the position, with one tag: whole or absent. */
  #taggedTransaction(): StepDraft {
    const tag = `tx-${this.#tag()}`
    const id = this.#newKey()
    const order = `r${this.#round}-o${this.#random.below(BASE_ORDERS)}`
    const writes = [
      this.#insert('fills', id, { ...this.#fill(id, tag), orderId: order }),
      this.#put('orders', order, {
        id: order,
        clientOrderId: order.replace('-o', '-c'),
        symbol: 'BTC/USDT',
        side: 'buy',
        state: this.#random.pick(['open', 'partially_filled', 'filled']),
        quantity: '1',
        metadata: { tag },
      }),
      this.#putPosition(tag),
    ]
    return { how: 'transaction', writes, outcome: 'durable' }
  }

  #putWatchlist(): Write {
    const symbol = `S${this.#random.below(12)}`
    return this.#put('watchlist', symbol, { symbol, tag: this.#random.pick(['a', 'b']), note: this.#tag() })
  }

  #putWallet(): Write {
    const address = `0x${this.#random.below(6)}`
    return this.#put('wallets', address, { address, label: this.#tag(), privateKey: this.#tag() })
  }

  /** Counts its versions up, one by one. */
  #guardedPut(collection: 'kv' | 'trades'): StepDraft {
    const key = `r${this.#round}-guarded`
    const ifVersion = this.#guardedVersion[collection]++
    const document =
      collection === 'kv'
        ? { key, value: this.#tag() }
        : { id: key, symbol: 'BTC/USDT', entryPrice: '1', openedAt: ifVersion, strategy: 'trend' }
    return this.#single({ ...this.#put(collection, key, document), ifVersion })
  }

  #putTick(): Write {
    const id = `pool-${this.#random.below(50)}`
    return this.#put('ticks', id, { id, symbol: this.#random.pick(SYMBOLS), at: 1, price: this.#tag() })
  }

  #insertTicks(): StepDraft {
    const writes = Array.from({ length: this.#random.between(10, 120) }, () => {
      const id = this.#newKey()
      return this.#insert('ticks', id, { id, symbol: this.#random.pick(SYMBOLS), at: this.#count, price: '1.5' })
    })
    return { how: 'insertMany', file: 'market', writes, outcome: 'durable' }
  }

  #repeatedInsert(): StepDraft {
    const id = `r${this.#round}-first`
    return this.#failing('single', [this.#insert('fills', id, this.#fill(id))], 'ALREADY_EXISTS')
  }

  #fillOfNoOrder(): StepDraft {
    const id = this.#newKey()
    const fill = { ...this.#fill(id), orderId: 'no-such-order' }
    return this.#failing('single', [this.#insert('fills', id, fill)], 'CONSTRAINT')
  }

  #takenEmail(): StepDraft {
    const id = this.#newKey()
    const user = { id, email: `r${this.#round}@example.com` }
    return this.#failing('single', [this.#put('users', id, user)], 'CONSTRAINT')
  }

  #staleVersion(): StepDraft {
    const write = this.#put('trades', 'never', { id: 'never', symbol: 'X', entryPrice: '1', openedAt: 1 })
    return this.#failing('single', [{ ...write, ifVersion: 7 }], 'VERSION_CONFLICT')
  }

  #transactionThatFails(): StepDraft {
    const id = this.#newKey()
    const writes = [
      this.#putPosition(),
      this.#insert('fills', id, { ...this.#fill(id), orderId: 'no-such-order' }),
      this.#putKv(),
    ]
    return this.#failing('transaction', writes, 'CONSTRAINT')
  }

  #unknownStrategy(): StepDraft {
    const id = this.#newKey()
    const trade = { id, symbol: 'X', entryPrice: '1', openedAt: 1, strategy: 'astrology' }
    return this.#failing('single', [this.#put('trades', id, trade)], 'CONSTRAINT')
  }
}
