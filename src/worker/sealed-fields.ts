/** Seals the fields a collection marks as sealed on their way into the table, and opens them for `reveal` alone. */
import { openSealedField, sealField } from '../crypto/sealed-field.ts'
import type { CollectionSpec } from '../schema/define-collection.ts'

export class SealedFields {
  readonly #sealingKey: Uint8Array

  constructor(sealingKey: Uint8Array) {
    this.#sealingKey = sealingKey
  }

  /** The document with its sealed fields as ciphertext. A field left out keeps what `stored` has; null removes it. */
  seal(spec: CollectionSpec, key: string, json: string, stored: string | null): string {
    const document = JSON.parse(json) as Record<string, unknown>
    const before = stored === null ? {} : (JSON.parse(stored) as Record<string, unknown>)
    for (const field of spec.sealed) {
      const value = document[field]
      if (typeof value === 'string') {
        document[field] = sealField(this.#sealingKey, value, { collection: spec.name, key, field })
      } else if (value === undefined && before[field] !== undefined) {
        document[field] = before[field]
      }
    }
    return JSON.stringify(document)
  }

  /** The sealed fields of a stored document in clear; null where there is none. */
  open(spec: CollectionSpec, key: string, stored: string): Record<string, string | null> {
    const document = JSON.parse(stored) as Record<string, unknown>
    return Object.fromEntries(
      spec.sealed.map((field) => {
        const sealed = document[field]
        if (typeof sealed !== 'string') return [field, null]
        return [field, openSealedField(this.#sealingKey, sealed, { collection: spec.name, key, field })]
      }),
    )
  }
}
