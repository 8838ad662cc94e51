/** Types of a result that follow the option `columns`: what was not asked for is not there. */

/**
 * Of `All`, what comes when `Names` are asked for. `never`: nothing was said, so all come. `string`: names that only the
 * running program knows. Names that `All` does not list are columns of the caller's own and hold `Own`.
 */
export type ChosenColumns<All, Names extends string, Own> = [Names] extends [never]
  ? All
  : string extends Names
    ? Partial<All> & Readonly<Record<string, unknown>>
    : Pick<All, Names & keyof All> & { readonly [Name in Exclude<Names, keyof All | 'ts' | 'length' | 'toRows'>]: Own }

/** The same of a row, which always has its time. */
export type ChosenRow<Row extends { readonly ts: number }, Names extends string, Own> = [Names] extends [never]
  ? Row
  : { readonly ts: number } & ChosenColumns<Omit<Row, 'ts'>, Names, Own>

/** Options whose names of columns are known to the compiler. */
export type WithColumns<Options, Names extends string> = Omit<Options, 'columns'> & {
  /** Of the columns, those that are wanted; default all. The time always comes with them. */
  readonly columns?: readonly Names[]
}
