using System;

namespace Shop
{
    /// <summary>A basket.</summary>
    public class Basket : IBasket
    {
        /// <summary>
        /// Adds <paramref name="item"/> to the basket; see <see cref="Remove(Item)"/>.
        /// </summary>
        /// <param name="item">What is added.</param>
        /// <returns>The new total.</returns>
        [Pure]
        public async Task<int> AddAsync<T>(T item) where T : Item
        {
            // Inside.
            int Sum(int a, int b) => a + b;
            await store.SaveAsync(item);
            return Sum(total, item.Price);
        }

        /// <summary>The price of all items.</summary>
        public decimal Price() => items.Sum(item => item.Price * item.Count);

        /// <summary>Makes a basket of these items.</summary>
        public Basket(params Item[] items) : base(items) { this.items = items; Count(); }

        /// <summary>Joins two baskets.</summary>
        public static Basket operator +(Basket left, Basket right)
        {
            return new Basket(left.items.Concat(right.items));
        }

        void IBasket.Clear() { items.Clear(); Changed(); }

        /// <summary>Declared only.</summary>
        public abstract void Pay();

        /// <summary>A property is no function.</summary>
        public int Size { get { return items.Count; } }
    }
}
