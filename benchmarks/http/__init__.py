"""What a message costs over real HTTP: two processes on loopback, a durable PostgreSQL, and a load that is watched.

python -m benchmarks.http [--only whole-life,bare,batches,accept,stops,overload,restart,carrier,memory]
"""
