module Shapes
  class << self
    # Area of a square.
    def area(side) = side * side

    # Compares by name.
    def ==(other)
      other.name == name
    end
  end

=begin
Describes the shape.
In two lines.
=end
  def describe
    "shape #{name}"
  end

  # Sets the name.
  def name=(value)
    @name = value
  end

  # Is it closed?
  memoize def closed?
    # inner comment
    edges.all?(&:closed)
  end
end
