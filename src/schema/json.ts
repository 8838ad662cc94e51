/** A value that survives `JSON.stringify` and `JSON.parse` unchanged: what documents are made of. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue }

/** A type with every property and element read-only, all the way down: the type of documents the store gives out. */
export type DeepReadonly<T> = T extends string | number | boolean | null | undefined | bigint | symbol
  ? T
  : T extends readonly (infer E)[]
    ? readonly DeepReadonly<E>[]
    : T extends object
      ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
      : T
