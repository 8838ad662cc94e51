/** Whoever read our output has gone (`holdfast list fills | head`): a reason to stop, not an error. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed'

  constructor() {
    super('The reader of the output has closed it.')
  }
}
