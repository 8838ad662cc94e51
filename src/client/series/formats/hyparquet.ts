/** The optional packages `hyparquet`, `hyparquet-writer` and `hyparquet-compressors`, loaded when they are first needed. */
import { StoreError } from '../../../protocol/store-error.ts'

export type Hyparquet = typeof import('hyparquet')
export type HyparquetWriter = typeof import('hyparquet-writer')
export type Compressors = typeof import('hyparquet-compressors')['compressors']

/** @throws StoreError `INVALID_ARGUMENT` when the package is not installed */
export async function hyparquet(): Promise<Hyparquet> {
  return await import('hyparquet').catch(missing('Reading Parquet', 'hyparquet'))
}

/** @throws StoreError `INVALID_ARGUMENT` when the package is not installed */
export async function hyparquetWriter(): Promise<HyparquetWriter> {
  return await import('hyparquet-writer').catch(missing('Writing Parquet', 'hyparquet-writer'))
}

/** hyparquet itself knows Snappy. @throws StoreError `INVALID_ARGUMENT` when the package is not installed */
export async function compressorsFor(codec: string): Promise<Compressors> {
  const { compressors } = await import('hyparquet-compressors').catch(
    missing(`Parquet compressed with ${codec}`, 'hyparquet-compressors'),
  )
  return compressors
}

function missing(what: string, name: string): (error: unknown) => never {
  return (error) => {
    throw new StoreError('INVALID_ARGUMENT', `${what} needs the package ${name}: npm install ${name}`, { cause: error })
  }
}
