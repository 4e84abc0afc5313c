/** One outline per kind of station, in a 24 × 24 box: a drop, a triangle (slope), a basin (pond), a lens (camera). */

import type { StationKind } from '../types'

export const SHAPES: Record<StationKind, string> = {
  rain_gauge: 'M12 2C15.5 7 19 10.5 19 15a7 7 0 0 1-14 0C5 10.5 8.5 7 12 2Z',
  displacement_point: 'M12 3 22 21H2Z',
  pond_section: 'M2 6h20l-4 13H6Z',
  fire_camera: 'M12 2l8.66 5v10L12 22l-8.66-5V7ZM12 8a4 4 0 1 0 .001 0Z',
}
