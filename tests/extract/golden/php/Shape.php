<?php
interface Shape
{
    /** Area in square metres. */
    public function area(): float;
}

trait Scales
{
    /**
     * Scale by a factor.
     * Returns the same object.
     */
    final public function scale(float $factor): static
    {
        $this->size *= $factor;

        return $this;
    }
}

$square = new class {
    /** Area of the square. */
    public function area(): float { return 4.0; }
};

enum Suit
{
    /** Colour of the suit. */
    public function color(): string
    {
        return match ($this) { default => 'Red' };
    }
}
