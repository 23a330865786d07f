"""A way through to a server that adds a delay to every request: python benchmarks/share_slow.py HOST PORT SECONDS; prints its own port."""

import asyncio
import contextlib
import sys


async def main(host: str, port: int, delay_s: float) -> None:
    """Serve until killed."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(1 << 18):
                if delay:  # what is asked for comes in one piece
                    await asyncio.sleep(delay)
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(host, port)
        await asyncio.gather(pump(reader, ours, delay_s), pump(theirs, writer, 0.0))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
