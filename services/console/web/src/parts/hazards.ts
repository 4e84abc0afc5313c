/** One outline per hazard, in a 24 × 24 box, drawn with a stroke. */

export const HAZARD_SHAPES: Record<string, string> = {
  // A cloud with rain.
  rainstorm: 'M7 14a4 4 0 0 1-.5-8A5.5 5.5 0 0 1 17 7a3.5 3.5 0 0 1 0 7ZM8 17l-1.5 4M13 17l-1.5 4M18 17l-1.5 4',
  // A house in the waves.
  flash_flood: 'M6 12V8l6-5 6 5v4M2 16c2-2.4 4-2.4 6.5 0s4.5 2.4 7 0 4.5-2.4 6.5 0M2 21c2-2.4 4-2.4 6.5 0s4.5 2.4 7 0 4.5-2.4 6.5 0',
  // Water that comes down from above.
  flash_flood_upstream: 'M12 2v9M8.5 8 12 11.5 15.5 8M2 16c2-2.4 4-2.4 6.5 0s4.5 2.4 7 0 4.5-2.4 6.5 0M2 21c2-2.4 4-2.4 6.5 0s4.5 2.4 7 0 4.5-2.4 6.5 0',
  // A slope under rain.
  landslide_rain: 'M2 21 9 8l4 6 3-2 6 9ZM14 3l-1 3M18 3l-1 3M21 7l-1 3',
  // A slope with blocks that fall.
  landslide: 'M2 21V6l7 3 5 7 8 5ZM14 5.5l3 2.5-1.5 2M19 12.5l2 1.5',
  // A slope, and what speaks for it from two sides.
  landslide_compound: 'M2 21 9 9l4 5 3-2 6 9ZM18 2v8M14 6h8',
  // A dam and what it holds.
  tailings: 'M2 9h9M2 13h10.5M11 6h3l7 15H2V6',
  // A flame.
  forest_fire: 'M12 2c1 4 6 6 6 12a6 6 0 0 1-12 0c0-2.5 1.5-4 2.5-5.5C9 11 10 11.5 10.5 11.5 10 8 10.5 4.5 12 2ZM12 20c-1.5 0-2.5-1-2.5-2.5S11 15.5 12 14c1 1.5 2.5 2 2.5 3.5S13.5 20 12 20Z',
  // A mast that no longer speaks.
  silence: 'M12 10v11M9 21h6M8.5 13a5 5 0 0 1 0-6M15.5 7a5 5 0 0 1 0 6M5.5 16a9 9 0 0 1 0-12M18.5 4a9 9 0 0 1 0 12M3 21 21 2',
}

/** For a hazard that has none of its own: a triangle with a stroke in it. */
export const ANY_HAZARD = 'M12 3 22 20H2ZM12 9v5M12 16.5v1'
