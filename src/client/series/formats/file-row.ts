/** One row of a file before its cells mean anything. */
export interface FileRow {
  /** From 1; in a file of JSON rows the line on which the row begins. */
  readonly line: number
  /** Texts as they stand in the file; null where JSON has null. */
  readonly cells: readonly (string | null)[]
}

/** Rows of one piece of a file; `names` are the names of the cells, when the file gives them. */
export interface FileRows {
  readonly names: readonly string[] | undefined
  readonly rows: readonly FileRow[]
}
