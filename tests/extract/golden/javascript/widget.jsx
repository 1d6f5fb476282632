export class Widget extends Base {
  /** Handles a click. */
  onClick = (event) => {
    event.preventDefault();
    this.setState({ clicked: true });
  };

  /** Counts widgets. */
  static async count() {
    return registry.size;
  }

  /** The secret size. */
  #size() {
    return this.width;
  }

  /** Current title. */
  get title() {
    return this.props.title;
  }

  /** Runs over all parts. */
  *[Symbol.iterator]() {
    yield* this.parts;
  }

  render() {
    return <div onClick={this.onClick}>{/** not documentation */}</div>;
  }
}

/** A footer. */
const Footer = ({ year }) => <footer>{year}</footer>;
