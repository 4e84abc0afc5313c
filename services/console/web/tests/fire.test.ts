import { expect, test } from 'vitest'
import { isOfCamera, sights } from '../src/alerts/fire'
import { bearing, destination, distance, ellipse } from '../src/map/fireGeometry'

const camera = { latitude: 28.14, longitude: 120.25 }
const other = { latitude: 28.14, longitude: 120.35 }
// Where bearings of 45° and 315° from these two meet, 6.930 km away, on a sphere of 6371 km.
const fire = { latitude: 28.184063, longitude: 120.3 }

test('cameras see the fire at the bearings whose crossing it is', () => {
  expect(bearing(camera, fire)).toBeCloseTo(45, 2)
  expect(bearing(other, fire)).toBeCloseTo(315, 2)
  expect(distance(camera, fire)).toBeCloseTo(6930, -1)
})

test('going a distance along a bearing leads there', () => {
  const end = destination(camera, 45, distance(camera, fire))
  expect(end.latitude).toBeCloseTo(fire.latitude, 5)
  expect(end.longitude).toBeCloseTo(fire.longitude, 4)
})

test('the ellipse lies along its bearing, as long and as wide as its half-axes', () => {
  const fix = { ...fire, major_m: 600, minor_m: 200, bearing_deg: 62 }
  const outline = ellipse(fix)
  const lengths = outline.map((point) => distance(fire, point))
  expect(Math.max(...lengths)).toBeCloseTo(600, 0)
  expect(Math.min(...lengths)).toBeCloseTo(200, 0)
  expect(bearing(fire, outline[0]!)).toBeCloseTo(62, 1)
  expect(distance(fire, ellipse(fix, 2)[0]!)).toBeCloseTo(1200, 0)
})

test('each camera’s azimuth and confidence are told as its sight', () => {
  const measure = (indicator: string, value: number) => ({ indicator, name: { zh: '', en: '' }, value, unit: '' })
  const measures = [measure('azimuth:C-1', 310.2), measure('confidence:C-1', 0.66), measure('azimuth:C-2', 113), measure('fwi', 21)]
  const found = sights({ rule: '', rule_version: '', station: '', time: '', sentence: { zh: '', en: '' }, figure: { zh: '', en: '' }, measures })
  expect(found).toEqual([
    { camera: 'C-1', bearing: 310.2, confidence: 0.66 },
    { camera: 'C-2', bearing: 113, confidence: null },
  ])
  expect(measures.filter(({ indicator }) => !isOfCamera(indicator)).map(({ indicator }) => indicator)).toEqual(['fwi'])
})
