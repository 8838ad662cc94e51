/** What a worker that takes over says of the batches its predecessor may have applied: each is written exactly once. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { segmentOperations, type WireOperation, witnessOf } from '../../src/protocol/batch.ts'
import { tempDir } from '../client/fixtures/temp-store.ts'
import { nextSequence, openBackend, runOnce } from './fixtures/backend.ts'

const put = (key: string): WireOperation => ({
  collection: 'kv',
  kind: 'put',
  key,
  json: JSON.stringify({ key, value: 1 }),
  ifVersion: null,
})
const remove = (key: string): WireOperation => ({ collection: 'kv', kind: 'delete', key, json: null, ifVersion: null })

/** The sequence and witness of each batch; `applied` of them are committed before the worker is gone. */
async function batchesThenTakeover(batches: readonly (readonly WireOperation[])[], applied: number) {
  const dir = join(tempDir(), 's')
  const sent = await runOnce(dir, {}, async (opened) => {
    const requests = batches.map((operations) => ({
      sequence: nextSequence(opened),
      witness: witnessOf(operations),
      operations,
    }))
    for (const { sequence, witness, operations } of requests.slice(0, applied)) {
      await opened.backend.commit({ file: 'state', sequence, witness, segments: segmentOperations(operations) })
    }
    return { requests, session: opened.result.session }
  })
  const { backend } = await openBackend(dir, { session: sent.session })
  return await Promise.all(
    sent.requests.map(async ({ sequence, witness }, index) => {
      const later = sent.requests
        .slice(index + 1)
        .flatMap((each) => (each.witness === null ? [] : [{ ...each, witness: each.witness }]))
      return (await backend.wasApplied({ file: 'state', sequence, witness, later })).applied
    }),
  )
}

test('batches that were committed are known, those behind them are not', async () => {
  expect(await batchesThenTakeover([[put('a')], [put('b')], [put('c')]], 2)).toEqual([true, true, false])
})

test('a batch whose witness a later batch has deleted is known by that batch', async () => {
  expect(await batchesThenTakeover([[put('a')], [remove('a'), put('b')], [put('c')]], 2)).toEqual([true, true, false])
})

test('so is one behind which deletes alone were committed', async () => {
  expect(await batchesThenTakeover([[put('a')], [remove('a')]], 2)).toEqual([true, true])
})

test('deletes alone that were not committed are sent again', async () => {
  expect(await batchesThenTakeover([[put('a')], [remove('a')]], 1)).toEqual([true, false])
})
