// SPDX-License-Identifier: GPL-2.0
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32;

/**
 * A JVM with a busy heap: threads make, check and drop objects all the time, so that the collector works.
 * GET / on the port says "whole" as long as all that was looked at was what had been written.
 */
public final class MovedHeap {
	private static final int THREADS = 4;
	private static final int KEYS = 2000;
	private static final AtomicLong wrong = new AtomicLong();

	private static long sum(byte[] bytes)
	{
		CRC32 crc = new CRC32();

		crc.update(bytes);
		return crc.getValue();
	}

	private static void work(int seed)
	{
		Map<Integer, byte[]> values = new HashMap<>();
		Map<Integer, Long> sums = new HashMap<>();
		Random random = new Random(seed);

		while (true) {
			int key = random.nextInt(KEYS);
			byte[] value = values.get(key);

			if (value != null && sum(value) != sums.get(key))
				wrong.incrementAndGet();
			value = new byte[1000 + random.nextInt(7000)];
			random.nextBytes(value);
			values.put(key, value);
			sums.put(key, sum(value));
		}
	}

	public static void main(String[] arguments) throws Exception
	{
		int port = Integer.parseInt(arguments[0]);
		HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);

		for (int i = 0; i < THREADS; i++) {
			int seed = i;

			new Thread(() -> work(seed)).start();
		}
		server.createContext("/", exchange -> {
			byte[] answer = (wrong.get() == 0 ? "whole\n" : "wrong\n").getBytes();

			exchange.sendResponseHeaders(200, answer.length);
			exchange.getResponseBody().write(answer);
			exchange.close();
		});
		server.start();
	}
}
