declare function external(name: string): void;

namespace Tools {
  /**
   * Clamps a value.
   * @returns the clamped value
   */
  export function clamp(value: number, low: number, high: number): number {
    return Math.min(Math.max(value, low), high);
  }
}

/** Two at once. */
const first = 1,
  /** Second of two. */
  second = <T>(x: T): T => x;

/** Type guard. */
export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

abstract class Shape {
  /** Area of the shape. */
  abstract area(): number;

  /** Describes the shape. */
  public describe?(): string {
    return `area ${this.area()}`;
  }
}
