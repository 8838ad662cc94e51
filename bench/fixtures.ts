/** Stores that are filled once per run and then copied, or shared, so that filling them is never measured. */
import { execFileSync } from 'node:child_process'
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import type { SeedContent } from './contenders/contender.ts'
import type { SeedJob } from './job.ts'
import { listFiles } from './measure/folder-size.ts'

export const FIXTURE_NAMES = [
  'ring',
  'hot',
  'market',
  'open',
  'smallArchive',
  'bigArchive',
  'megabyte',
  'megabytes',
] as const
export type FixtureName = (typeof FIXTURE_NAMES)[number]

const NOTHING: SeedContent = { hotDocuments: 0, archivedDocuments: 0, bars: 0, megabytes: 0 }

export function contentOf(
  fixture: FixtureName,
  { sizes, archiveRows, megabytes }: Pick<SeedJob, 'sizes' | 'archiveRows' | 'megabytes'>,
): SeedContent {
  switch (fixture) {
    case 'ring':
      return { ...NOTHING, hotDocuments: sizes.ringDocuments }
    case 'hot':
      return { ...NOTHING, hotDocuments: sizes.hotDocuments }
    case 'market':
      return { ...NOTHING, hotDocuments: sizes.ringDocuments, bars: sizes.mixedStoredBars }
    case 'open':
      return { ...NOTHING, hotDocuments: sizes.hotDocuments, archivedDocuments: sizes.openArchive }
    case 'smallArchive':
      return { ...NOTHING, archivedDocuments: sizes.smallArchive }
    case 'bigArchive':
      return { ...NOTHING, archivedDocuments: archiveRows }
    case 'megabyte':
      return { ...NOTHING, megabytes: 1 }
    case 'megabytes':
      return { ...NOTHING, megabytes }
  }
}

/** The copy is synced, so that its write-back does not fall into the measurement. */
export function copyStore(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  // `cp -a` keeps modes, which a store may check.
  execFileSync('cp', ['-a', from, to])
  for (const path of listFiles(to)) {
    const descriptor = openSync(path, 'r')
    fsyncSync(descriptor)
    closeSync(descriptor)
  }
}
