/** Small state a program reads all the time: anything under a key, preferences, and configuration or feature flags. */
import * as z from 'zod'
import { defineCollection } from '../define-collection.ts'

const key = z.string().min(1).max(512)

/** Any JSON value under a key. */
export const kv = defineCollection({
  name: 'kv',
  key: 'key',
  schema: z.object({ key, value: z.json() }),
  hot: true,
})

/** What a user of the program prefers. */
export const preferences = defineCollection({
  name: 'preferences',
  key: 'key',
  schema: z.object({ key, value: z.json() }),
  hot: true,
})

/** Configuration values and feature flags, with a word on what they are for. */
export const flags = defineCollection({
  name: 'flags',
  key: 'key',
  schema: z.object({ key, value: z.json(), description: z.string().max(1_024).optional() }),
  hot: true,
})
