/** A service. */
@Injectable()
export class Service {
  /** Looks up a user. */
  find(id: number): User;
  find(name: string): User;
  find(key: any): User {
    return this.users.get(key);
  }

  @Input()
  /** Sets the title. */
  @HostBinding('title')
  set title(value: string) {
    this._title = value;
  }

  /** Emits a change. */
  @Debounce({ ms: 10, /** not this one */ lead: true })
  protected async emit(): Promise<void> {
    await this.bus.emit('change');
  }

  /** Arrow in a field. */
  private readonly onClose = (): void => {
    this.open = false;
  };

  /** No body. */
  abstract draw(): void;
}

/** Converts to text. */
export function text(value: number): string;

export function text(value: boolean): string;
export function text(value: unknown): string {
  return String(value);
}
