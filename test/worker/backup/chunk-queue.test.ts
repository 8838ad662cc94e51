import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { ChunkQueue, takenAhead } from '../../../src/worker/backup/chunk-queue.ts'

const chunk = (text: string) => Buffer.from(text)

async function all(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  let text = ''
  for await (const each of chunks) text += Buffer.from(each).toString()
  return text
}

test('gives what it was given, in order, to one who takes at any time', async () => {
  const queue = new ChunkQueue(4)
  const taken = all(queue)
  for (const text of ['abc', 'd', 'efgh', 'i']) await queue.push(chunk(text))
  queue.end()
  expect(await taken).toBe('abcdefghi')
})

test('keeps the one who gives waiting while it is full', async () => {
  const queue = new ChunkQueue(4)
  await queue.push(chunk('abc'))
  let hasRoom = false
  const waiting = queue.push(chunk('def')).then(() => {
    hasRoom = true
  })
  await setImmediate()
  expect(hasRoom).toBe(false)
  const taken = all(queue)
  await waiting
  queue.end()
  expect(await taken).toBe('abcdef')
})

test('tells when the memory of what was given may be used again, also once there is no more to come', async () => {
  const queue = new ChunkQueue(100)
  for (const text of ['abc', 'def', 'ghi']) await queue.push(chunk(text))
  queue.end()
  let seen = ''
  const free: string[] = []
  const waiting = [3, 9].map(async (bytes) => {
    await queue.taken(bytes)
    free.push(`${bytes} after ${seen}`)
  })
  for await (const each of queue) {
    await setImmediate()
    seen += Buffer.from(each).toString()
    await setImmediate()
  }
  await Promise.all(waiting)
  expect(free).toEqual(['3 after abc', '9 after abcdefghi'])
})

test('a failure takes the place of what is left', async () => {
  const queue = new ChunkQueue(100)
  await queue.push(chunk('abc'))
  queue.fail(new Error('no more'))
  await expect(all(queue)).rejects.toThrow('no more')
})

test('nobody waits for one who has given up', async () => {
  const queue = new ChunkQueue(1)
  const waiting = queue.push(chunk('abc'))
  for await (const _ of queue) break
  await waiting
  await queue.push(chunk('def'))
})

test('takes ahead what is bounded, tells a failure, and ends its source', async () => {
  let given = 0
  let isEnded = false
  async function* source() {
    try {
      for (; given < 100; given++) yield chunk('0123456789')
      throw new Error('the source has ended')
    } finally {
      isEnded = true
    }
  }
  const ahead = takenAhead(source(), 30)
  await ahead.next()
  await setImmediate()
  expect(given).toBeLessThan(10)
  await ahead.return(undefined)
  expect(isEnded).toBe(true)

  given = 0
  await expect(all(takenAhead(source(), 30))).rejects.toThrow('the source has ended')
  expect(given).toBe(100)
})
