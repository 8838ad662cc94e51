import { expect, test } from 'vitest'
import { MaintenanceLock } from '../../src/worker/maintenance-lock.ts'

test('a second operation is refused at once and told what is running', async () => {
  const lock = new MaintenanceLock()
  let finish: () => void = () => undefined
  const first = lock.exclusiveOperation('backup', () => new Promise<void>((resolve) => (finish = resolve)))
  await expect(lock.exclusiveOperation('rotation of the data key', async () => undefined)).rejects.toMatchObject({
    code: 'BUSY_OPERATION',
    details: { operation: 'rotation of the data key', running: 'backup' },
  })
  expect(lock.running).toBe('backup')
  finish()
  await first
  expect(lock.running).toBeNull()
})

test('an operation that fails leaves the way free', async () => {
  const lock = new MaintenanceLock()
  const failing = lock.exclusiveOperation('backup', () => Promise.reject(new RangeError('x')))
  await expect(failing).rejects.toThrow(RangeError)
  await expect(lock.exclusiveOperation('backup', async () => 7)).resolves.toBe(7)
})
