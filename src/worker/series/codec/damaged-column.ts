/** Bytes that no encoder of this folder wrote: cut off, extended or changed. Callers know which row it was and say so. */
export class DamagedColumnError extends Error {
  override readonly name = 'DamagedColumnError'

  constructor(what: string) {
    super(`encoded column is damaged: ${what}`)
  }
}
