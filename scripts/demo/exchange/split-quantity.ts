import { divide, multiply, subtract } from '../exact-decimal.ts'
import type { SeededRandom } from '../seeded-random.ts'

const MOST_PIECES = 4

/** Cuts a quantity into one to four pieces of whole lots: partial fills. */
export function splitQuantity(quantity: string, lotSize: string, random: SeededRandom): string[] {
  let lots = Number(divide(quantity, lotSize))
  const pieces: string[] = []
  let rest = quantity
  for (let left = random.whole(1, MOST_PIECES); left > 1 && lots > left; left--) {
    const taken = random.whole(1, lots - left + 1)
    const piece = multiply(`${taken}`, lotSize)
    pieces.push(piece)
    rest = subtract(rest, piece)
    lots -= taken
  }
  pieces.push(subtract(rest, '0'))
  return pieces
}
