public readonly record struct Result<T>(T Value, string? Error)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Value} {Error}";

    /// <summary>Maps the value with <c>map</c>, unless there is an <see langword="error"/>.</summary>
    // Between.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Result<TOut> Map<TOut>(Func<T, TOut> map)
    {
        return Error is null ? new(map(Value), null) : new(default!, Error);
    }
}
