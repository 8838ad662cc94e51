/** A store has one owner. The second is told who it is; the moment the first is dead the store is free. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ChildProgram } from './child-program.ts'
import { directoryHashes } from './directory-hashes.ts'
import { shortOrLong } from './fault-run.ts'
import { refusalOf } from './refusal.ts'
import { PASSWORD } from './store-settings.ts'
import { temporaryDirectory } from './temporary-directory.ts'
import { openTestStore } from './worker-faults.ts'

function filesOf(dir: string): Record<string, string> {
  return Object.fromEntries(Object.entries(directoryHashes(dir)).filter(([name]) => !name.endsWith('-shm')))
}

test('a second owner in the same process is refused with its pid, and the first goes on', async () => {
  const dir = join(temporaryDirectory(), 'store')
  const store = await openTestStore(dir)
  await store.kv.set('a', 1)
  const before = filesOf(dir)
  for (const password of [PASSWORD, 'not the password of it']) {
    const refusal = await refusalOf(openTestStore(dir, { password }))
    expect(refusal?.code).toBe('STORE_LOCKED')
    expect(refusal?.details.pid).toBe(process.pid)
    expect(refusal?.message).toContain(`${process.pid}`)
  }
  expect(filesOf(dir)).toEqual(before)
  await store.kv.set('a', 2)
  expect((await store.kv.entry('a'))?.version).toBe(2)
  await store.close()
  await (await openTestStore(dir)).close()
})

test('a second owner in another process is refused, and the store is free the moment the first is killed', async () => {
  const dir = join(temporaryDirectory(), 'store')
  for (let n = 0; n < shortOrLong(1, 20); n++) {
    const holder = ChildProgram.start('holder', { arguments: { dir } })
    await holder.line('held')
    const before = filesOf(dir)
    const refusal = await refusalOf(openTestStore(dir))
    expect(refusal?.code).toBe('STORE_LOCKED')
    expect(refusal?.details.pid).toBe(holder.pid)
    expect(filesOf(dir)).toEqual(before)
    holder.kill('SIGKILL')
    await holder.ended
    const store = await openTestStore(dir)
    expect(store.kv.size).toBe(20)
    await store.close()
  }
})

test('of many owners at once one gets the store', async () => {
  const dir = join(temporaryDirectory(), 'store')
  const holders = Array.from({ length: shortOrLong(3, 12) }, () => ChildProgram.start('holder', { arguments: { dir } }))
  const held = await Promise.all(
    holders.map((holder) =>
      Promise.race([holder.line('held').then((line) => line !== undefined), holder.ended.then(() => false)]),
    ),
  )
  for (const holder of holders) holder.kill('SIGKILL')
  await Promise.all(holders.map((holder) => holder.ended))
  expect(held.filter(Boolean)).toHaveLength(1)
  const store = await openTestStore(dir)
  expect(store.kv.size).toBe(20)
  expect(await store.check()).toEqual([])
  await store.close()
})

test('who only looks beside an owner takes no lock, sees what is durable and writes nothing', async () => {
  const dir = join(temporaryDirectory(), 'store')
  const store = await openTestStore(dir)
  await store.kv.set('a', 1)
  const before = filesOf(dir)
  const beside = await openTestStore(dir, { readOnly: true })
  expect(beside.kv.value('a')).toBe(1)
  expect((await refusalOf(beside.kv.set('a', 2)))?.code).toBe('READ_ONLY')
  await beside.close()
  expect(filesOf(dir)).toEqual(before)
  await store.close()
})

test('an owner whose opening failed holds nothing', async () => {
  const dir = join(temporaryDirectory(), 'store')
  await (await openTestStore(dir)).close()
  for (let n = 0; n < 5; n++) {
    expect((await refusalOf(openTestStore(dir, { password: 'not the password of it' })))?.code).toBe('WRONG_PASSWORD')
  }
  await (await openTestStore(dir)).close()
})
