trait Shape {
  /** The area in square metres. */
  def area: Double

  /** Scales the shape by `factor`; to do. */
  def scale(factor: Double): Shape = ???

  def describe(): String = s"a shape of ${area.round} } metres"
}

case class Circle(radius: Double) extends Shape {
  /** See the trait. */
  override def area = { math.Pi * radius * radius }
}
