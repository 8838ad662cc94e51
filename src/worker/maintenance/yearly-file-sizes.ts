/** How large the yearly trade files are; they are not opened for it. */
import type { YearlyFileStatus } from '../../protocol/methods.ts'
import { fileBytes } from '../checkpointer.ts'
import { yearlyDatabase, yearlyFiles } from '../store-files.ts'

export async function yearlyFileSizes(dir: string): Promise<YearlyFileStatus[]> {
  const sizes: YearlyFileStatus[] = []
  for (const year of await yearlyFiles(dir)) {
    const { path, relativePath } = yearlyDatabase(dir, year)
    sizes.push({
      name: relativePath,
      databaseBytes: await fileBytes(path),
      walBytes: await fileBytes(`${path}-wal`),
    })
  }
  return sizes
}
