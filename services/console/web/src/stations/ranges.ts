/** The time ranges a chart offers, and the bucket that suits each. */

import { HOUR, MINUTE } from '../time'
import type { Bucket } from '../types'

export const RANGES = ['3h', '12h', '24h', '7d'] as const
export type Range = (typeof RANGES)[number]

export const RANGE_MS: Record<Range, number> = { '3h': 3 * HOUR, '12h': 12 * HOUR, '24h': 24 * HOUR, '7d': 168 * HOUR }

export const BUCKET_MS: Record<Bucket, number> = {
  '1m': MINUTE, '5m': 5 * MINUTE, '15m': 15 * MINUTE, '1h': HOUR, '6h': 6 * HOUR, '1d': 24 * HOUR,
}

/** Rain is always a sum per bucket; other metrics are shown as read while there are few enough points. */
export function bucketFor(metric: string, range: Range): Bucket | null {
  const bucket = ({ '3h': '5m', '12h': '15m', '24h': '1h', '7d': '1h' } as const)[range]
  return metric !== 'rain' && (range === '3h' || range === '12h') ? null : bucket
}

/** From the start of a bucket, so that the first bar is whole, up to now. */
export function span(range: Range, bucket: Bucket | null, now: number): { from: number; to: number } {
  const step = bucket ? BUCKET_MS[bucket] : MINUTE
  return { from: Math.floor((now - RANGE_MS[range]) / step) * step, to: now }
}
