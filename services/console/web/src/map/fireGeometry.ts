/** Bearings and distances on the Earth as a sphere, enough to draw what cameras see. Pure. */

import type { Fix } from '../types'

export interface Position {
  latitude: number
  longitude: number
}

const EARTH_M = 6_371_000
const radians = (degrees: number) => (degrees * Math.PI) / 180
const degrees = (angle: number) => (angle * 180) / Math.PI

/** The initial great-circle bearing from one place to another, in degrees from north, clockwise. */
export function bearing(from: Position, to: Position): number {
  const [a, b] = [radians(from.latitude), radians(to.latitude)]
  const east = radians(to.longitude - from.longitude)
  const y = Math.sin(east) * Math.cos(b)
  const x = Math.cos(a) * Math.sin(b) - Math.sin(a) * Math.cos(b) * Math.cos(east)
  return (degrees(Math.atan2(y, x)) + 360) % 360
}

/** The great-circle distance in metres (haversine). */
export function distance(from: Position, to: Position): number {
  const [a, b] = [radians(from.latitude), radians(to.latitude)]
  const half = Math.sin((b - a) / 2) ** 2
  const across = Math.sin(radians(to.longitude - from.longitude) / 2) ** 2
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(half + Math.cos(a) * Math.cos(b) * across)))
}

/** Where one comes to, going `metres` along a great circle that begins with that bearing. */
export function destination(from: Position, bearingDeg: number, metres: number): Position {
  const angle = metres / EARTH_M
  const [latitude, course] = [radians(from.latitude), radians(bearingDeg)]
  const end = Math.asin(Math.sin(latitude) * Math.cos(angle) + Math.cos(latitude) * Math.sin(angle) * Math.cos(course))
  const east = Math.atan2(
    Math.sin(course) * Math.sin(angle) * Math.cos(latitude),
    Math.cos(angle) - Math.sin(latitude) * Math.sin(end),
  )
  return { latitude: degrees(end), longitude: from.longitude + degrees(east) }
}

/** The outline of the error ellipse; its axes are half-axes, at `sigma` times the fix's own. */
export function ellipse({ major_m, minor_m, bearing_deg, ...centre }: Fix, sigma = 1, corners = 48): Position[] {
  return Array.from({ length: corners }, (_, nth) => {
    const turn = (2 * Math.PI * nth) / corners
    const along = Math.cos(turn) * major_m * sigma
    const across = Math.sin(turn) * minor_m * sigma
    return destination(centre, bearing_deg + degrees(Math.atan2(across, along)), Math.hypot(along, across))
  })
}
