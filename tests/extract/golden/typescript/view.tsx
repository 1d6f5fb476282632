interface Props {
  /** Not a function. */
  onClick(): void;
}

/** Renders a button. */
export const Button = ({ onClick }: Props): JSX.Element => (
  <button onClick={onClick}>OK</button>
);

/** The page. */
export default async function Page<T,>(props: Props) {
  return <Button {...props} />;
}

/** Detached. */

export const Other: FC<Props> = function (props) {
  return null;
};

/** Two blank lines detach it. */


export function Apart() {
  return null;
}
