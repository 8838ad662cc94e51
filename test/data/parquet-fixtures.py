"""Writes the Parquet files of this folder, from the extracts beside them: pip install pyarrow pandas polars, then run it here."""
import gzip, json
from decimal import Decimal

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

bars = pd.read_csv("btc-perp-1m.csv.gz", parse_dates=["timestamp"], float_precision="round_trip").head(500)

# As pandas writes by itself: Snappy, dictionaries, naive nanoseconds, the time as index.
bars.set_index("timestamp").to_parquet("btc-perp-1m-pandas.parquet")

# As polars writes by itself: ZSTD, microseconds in UTC, several row groups.
pl.from_pandas(bars).with_columns(
    pl.col("timestamp").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
).write_parquet("btc-perp-1m-polars.parquet", row_group_size=200)

trades = json.load(gzip.open("xrp-eth-trades.json.gz"))[:300]
price = [Decimal(str(row[4])) for row in trades]
amount = [Decimal(str(row[5])) for row in trades]
table = pa.table(
    {
        "timestamp": pa.array([row[0] for row in trades], pa.timestamp("ms", "UTC")),
        "price": pa.array(price, pa.decimal128(18, 8)),
        "amount": pa.array(amount, pa.decimal128(30, 8)),
        # Not every venue says it, nor for every trade.
        "side": pa.array([None if i % 10 == 9 else row[3] for i, row in enumerate(trades)]).dictionary_encode(),
        "trade_id": pa.array([int(row[1]) for row in trades], pa.int64()),
    }
)
# Decimals as whole numbers of 8 bytes and as fixed bytes, second form of pages, an index of pages, nulls.
pq.write_table(
    table,
    "xrp-eth-trades-pyarrow.parquet",
    row_group_size=120,
    data_page_version="2.0",
    data_page_size=512,
    write_page_index=True,
    store_decimal_as_integer=True,
)
