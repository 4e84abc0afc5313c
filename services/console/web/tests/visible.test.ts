import { expect, test } from 'vitest'
import { visible } from '../src/quarantine/visible'

test('what cannot be seen is written out', () => {
  expect(visible('a\0b')).toBe('a\\x00b')
  expect(visible('\x1b[2J\x7f\x85\r')).toBe('\\x1b[2J\\x7f\\x85\\x0d')
  expect(visible('\ufeff{}')).toBe('\\u{feff}{}')
  expect(visible('a\u202eb\u2028\ue000')).toBe('a\\u{202e}b\\u{2028}\\u{e000}')
})

test('what can be seen stays as it is', () => {
  const seen = '{"站": "R-1",\n\t"value": 0.5} � 🔔'
  expect(visible(seen)).toBe(seen)
})
