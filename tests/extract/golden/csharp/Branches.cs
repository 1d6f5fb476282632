#nullable enable
namespace Shop;

internal static partial class Branches
{
    /** <summary>Parses a price.</summary> */
    public static decimal Parse(string text)
    {
#if NET8_0_OR_GREATER
        if (text.Length > 0) {
#else
        if (text != null) {
#endif
            return decimal.Parse(text, CultureInfo.InvariantCulture);
        }
        return 0m;
    }

    //// <summary>Four slashes are a comment.</summary>
    public static string Format(decimal price) => $"{price:0.00} {Currency}";
}
