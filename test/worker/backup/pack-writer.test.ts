import { createHash, randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { beforeEach, expect, test } from 'vitest'
import { PackWriter } from '../../../src/worker/backup/pack-writer.ts'
import { assertPacksWhole } from '../../../src/worker/backup/restored-files.ts'
import { type BackupTarget, openTarget } from '../../../src/worker/backup/target.ts'
import { temporaryDirectory } from '../../faults/temporary-directory.ts'

let folder: string
let target: BackupTarget

beforeEach(async () => {
  folder = temporaryDirectory()
  target = await openTarget(folder)
})

const PAGES = Array.from({ length: 8 }, () => randomBytes(64 * 1024))

/** Appends to the pack, and to the twin, what the letters say: b both, p the pack alone, t the twin alone. */
async function write(packs: PackWriter, steps: string): Promise<string> {
  const twin = createHash('sha256')
  packs.twin(twin)
  for (const [index, step] of [...steps].entries()) {
    const pages = PAGES[index] as Buffer
    if (step !== 'b') packs.untwin()
    if (step !== 't') await packs.append(pages)
    if (step !== 'p') twin.update(pages)
  }
  packs.untwin()
  return twin.digest('hex')
}

for (const steps of ['bbbb', 'bbtb', 'tbbb', 'pbbb', 'bptb', 'tttt']) {
  test(`each of two that hash together has its own hash (${steps})`, async () => {
    const packs = new PackWriter(target, 'one')
    const twin = await write(packs, steps)
    await packs.finish()
    const bytesOf = (letters: string) =>
      createHash('sha256').update(Buffer.concat(PAGES.filter((_, index) => letters.includes(steps[index] ?? ' '))))
    expect(twin).toBe(bytesOf('bt').digest('hex'))
    expect(packs.packs.map(({ sha256 }) => sha256)).toEqual(steps === 'tttt' ? [] : [bytesOf('bp').digest('hex')])
    await assertPacksWhole(target, packs.packs)
  })
}

test('a second twin of a pack that has begun is none', async () => {
  const packs = new PackWriter(target, 'one')
  await write(packs, 'bb')
  const second = await write(packs, 'bb')
  await packs.finish()
  const both = Buffer.concat(PAGES.slice(0, 2))
  expect(second).toBe(createHash('sha256').update(both).digest('hex'))
  expect(packs.packs[0]?.sha256).toBe(createHash('sha256').update(both).update(both).digest('hex'))
})

test('memory may be used again once it is written, however slow the target is', async () => {
  const stored: Buffer[] = []
  const slow: BackupTarget = {
    ...target,
    location: folder,
    write: async (_, content) => {
      for await (const chunk of content as AsyncIterable<Uint8Array>) {
        await setTimeout(2)
        stored.push(Buffer.from(chunk))
      }
    },
  }
  const packs = new PackWriter(slow, 'one')
  const memory = Buffer.alloc(64 * 1024)
  let isFree = packs.taken()
  for (const pages of PAGES) {
    await isFree()
    pages.copy(memory)
    await packs.append(memory.subarray(0, 4_096))
    await packs.append(memory.subarray(4_096))
    isFree = packs.taken()
  }
  await packs.finish()
  expect(Buffer.concat(stored).equals(Buffer.concat(PAGES))).toBe(true)
})

test('a target that refuses is told to the one who appends', async () => {
  const refusing: BackupTarget = { ...target, location: folder, write: () => Promise.reject(new Error('refused')) }
  const packs = new PackWriter(refusing, 'one')
  await expect(packs.append(PAGES[0] as Buffer).then(() => packs.finish())).rejects.toThrow('refused')
  await packs.abandon()
})
