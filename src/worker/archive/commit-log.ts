/**
 * Which batch a commit in the write-ahead log belongs to, in a form that survives SIGKILL. The log itself does not say
 * it in clear, and what a process that died had in memory is gone. So before each commit its sequence and time are
 * noted in a small file, in the slot of the frame after which the commit will stand. Nothing here is fsynced: after a
 * power cut the last commits may be nameless, and can then be restored by what stands around them.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { DatabaseFile } from '../../schema/database-file.ts'
import { FILE_MODE } from '../store-files.ts'

const SLOT_BYTES = 32
const CHECKED_BYTES = 28

export interface CommitNote {
  /** Null for a transaction that is no batch. */
  readonly sequence: number | null
  readonly timeMs: number
}

export function commitLogPath(dir: string, file: DatabaseFile): string {
  return join(dir, `archive.${file}.commits`)
}

export class CommitLog {
  readonly #descriptor: number
  readonly #slot = Buffer.alloc(SLOT_BYTES)

  constructor(path: string) {
    this.#descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT, FILE_MODE)
  }

  /** Before a commit that will stand behind frame `frame` of the log with this salt; zeros when there is no log yet. */
  note(salt: Buffer, frame: number, { sequence, timeMs }: CommitNote): void {
    const slot = this.#slot
    salt.copy(slot, 0)
    slot.writeUInt32BE(frame, 8)
    slot.writeDoubleBE(sequence ?? 0, 12)
    slot.writeDoubleBE(timeMs, 20)
    slot.writeUInt32BE(crc32(slot.subarray(0, CHECKED_BYTES)), CHECKED_BYTES)
    writeSync(this.#descriptor, slot, 0, SLOT_BYTES, frame * SLOT_BYTES)
  }

  find(salt: Buffer, frame: number): CommitNote | undefined {
    const slot = this.#slot
    if (readSync(this.#descriptor, slot, 0, SLOT_BYTES, frame * SLOT_BYTES) < SLOT_BYTES) return undefined
    if (!isWhole(slot) || slot.compare(salt, 0, 8, 0, 8) !== 0 || slot.readUInt32BE(8) !== frame) return undefined
    return noteIn(slot)
  }

  /** The highest that was ever noted and not written over: no batch that was committed has a higher one. */
  highestSequence(): number | null {
    const slots = Buffer.alloc(fstatSync(this.#descriptor).size)
    readSync(this.#descriptor, slots, 0, slots.length, 0)
    let highest: number | null = null
    for (let at = 0; at + SLOT_BYTES <= slots.length; at += SLOT_BYTES) {
      const slot = slots.subarray(at, at + SLOT_BYTES)
      const sequence = isWhole(slot) ? noteIn(slot).sequence : null
      if (sequence !== null && sequence > (highest ?? 0)) highest = sequence
    }
    return highest
  }

  close(): void {
    closeSync(this.#descriptor)
  }
}

function isWhole(slot: Buffer): boolean {
  return slot.readUInt32BE(CHECKED_BYTES) === crc32(slot.subarray(0, CHECKED_BYTES))
}

function noteIn(slot: Buffer): CommitNote {
  const sequence = slot.readDoubleBE(12)
  return { sequence: sequence === 0 ? null : sequence, timeMs: slot.readDoubleBE(20) }
}
