/** What cameras say of a fire: in the evidence each camera has its azimuth and its confidence as measures. Pure. */

import type { Evidence } from '../types'

export interface Sight {
  camera: string
  /** Degrees from north, clockwise. */
  bearing: number
  /** 0 to 1. */
  confidence: number | null
}

const AZIMUTH = 'azimuth:'
const CONFIDENCE = 'confidence:'

/** Of single cameras: told beside their names, not as bars. */
export function isOfCamera(indicator: string): boolean {
  return indicator.startsWith(AZIMUTH) || indicator.startsWith(CONFIDENCE)
}

export function sights({ measures = [] }: Evidence): Sight[] {
  const value = (indicator: string) => measures.find((one) => one.indicator === indicator)?.value ?? null
  return measures
    .filter(({ indicator }) => indicator.startsWith(AZIMUTH))
    .map(({ indicator, value: bearing }) => {
      const camera = indicator.slice(AZIMUTH.length)
      return { camera, bearing, confidence: value(CONFIDENCE + camera) }
    })
}
