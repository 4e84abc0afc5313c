import { expect, test } from 'vitest'
import { hexLines, size } from '../src/quarantine/bytes'

test('bytes are shown with their offset and what can be printed', () => {
  expect(hexLines('7b227d00ff')).toBe(`0000  ${'7b 22 7d 00 ff'.padEnd(47)}  {"}..`)
  expect(hexLines('41'.repeat(17)).split('\n')[1]).toMatch(/^0010 {2}41 .* {2}A$/)
  expect(hexLines('')).toBe('')
})

test('sizes are in their largest unit', () => {
  expect([0, 1023, 1024, 1536, 2 ** 30].map(size)).toEqual(['0 B', '1023 B', '1 KiB', '1.5 KiB', '1 GiB'])
})
