// SPDX-License-Identifier: GPL-2.0
/*
 * A client of redis that finds lost writes. The value of a key follows from its number and a
 * version. "run" overwrites keys at random, and notes the last acknowledged version of each key.
 * "verify" reads all keys back: each must have at least that version, and the value that belongs
 * to its version.
 *
 *	redis_load fill   HOST[,HOST]... ACKS
 *	redis_load run    HOST[,HOST]... ACKS RATE	until SIGTERM; sets a second
 *	redis_load verify HOST ACKS
 */
#include <err.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PORT		6379
#define KEYS		100000
#define MIN_BYTES	2185	/* with MAX_BYTES: 256 MiB in all */
#define MAX_BYTES	3184
#define HEAD_BYTES	16	/* key and version in hex */
#define PIPELINE	16
#define MAX_HOSTS	4
#define TIMEOUT_S	1

/**
 * struct load - the client's state
 * @sent: highest version of each key that was sent
 * @acked: highest version of each key that redis acknowledged
 * @host: index of the host in use
 * @per_host: sets acknowledged by each host
 * @reconnects: connections lost
 */
struct load {
	uint32_t sent[KEYS];
	uint32_t acked[KEYS];
	char *hosts[MAX_HOSTS];
	unsigned int nr_hosts;
	unsigned int host;
	uint64_t per_host[MAX_HOSTS];
	uint64_t reconnects;
	redisContext *redis;
};

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static size_t value_bytes(uint32_t key)
{
	return MIN_BYTES + key % (MAX_BYTES - MIN_BYTES + 1);
}

static void value_make(uint32_t key, uint32_t version, char *value)
{
	uint64_t state = ((uint64_t)key << 32 | version) * 0x9e3779b97f4a7c15ull | 1;
	size_t i, bytes = value_bytes(key);
	char head[HEAD_BYTES + 1];

	snprintf(head, sizeof(head), "%08x%08x", key, version);
	memcpy(value, head, HEAD_BYTES);
	for (i = HEAD_BYTES; i < bytes; i += sizeof(uint64_t)) {
		uint64_t word = next_random(&state);

		memcpy(value + i, &word,
		       bytes - i < sizeof(word) ? bytes - i : sizeof(word));
	}
}

static void load_open(struct load *load, const char *acks)
{
	FILE *file = fopen(acks, "r");

	if (!file)
		return;
	if (fread(load->sent, sizeof(load->sent), 1, file) != 1 ||
	    fread(load->acked, sizeof(load->acked), 1, file) != 1)
		errx(1, "%s: not an acks file", acks);
	fclose(file);
}

static void load_save(const struct load *load, const char *acks)
{
	FILE *file = fopen(acks, "w");

	if (!file || fwrite(load->sent, sizeof(load->sent), 1, file) != 1 ||
	    fwrite(load->acked, sizeof(load->acked), 1, file) != 1 ||
	    fclose(file))
		err(1, "%s", acks);
}

static void load_hosts(struct load *load, char *list)
{
	char *host;

	while ((host = strsep(&list, ",")) && load->nr_hosts < MAX_HOSTS)
		load->hosts[load->nr_hosts++] = host;
}

/* Tries the hosts in turn until one answers to PING or we are told to stop. */
static void load_connect(struct load *load)
{
	struct timeval timeout = { .tv_sec = TIMEOUT_S };
	redisReply *pong;

	while (!stop) {
		load->redis = redisConnectWithTimeout(load->hosts[load->host],
						      PORT, timeout);
		if (load->redis && !load->redis->err) {
			redisSetTimeout(load->redis, timeout);
			pong = redisCommand(load->redis, "PING");
			if (pong) {
				freeReplyObject(pong);
				return;
			}
		}
		if (load->redis)
			redisFree(load->redis);
		load->redis = NULL;
		load->host = (load->host + 1) % load->nr_hosts;
		usleep(20000);
	}
}

static void load_reconnect(struct load *load)
{
	fprintf(stderr, "redis_load: connection to %s lost (%s), looking for redis\n",
		load->hosts[load->host], load->redis->errstr);
	redisFree(load->redis);
	load->redis = NULL;
	load->reconnects++;
	load_connect(load);
	if (load->redis)
		fprintf(stderr, "redis_load: redis answers at %s\n",
			load->hosts[load->host]);
}

/* Sends a new version of each of @keys; false when the connection broke. */
static bool load_set(struct load *load, const uint32_t *keys, unsigned int nr)
{
	static char value[MAX_BYTES + sizeof(uint64_t)];
	uint32_t versions[PIPELINE];
	redisReply *reply;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		versions[i] = ++load->sent[keys[i]];
		value_make(keys[i], versions[i], value);
		redisAppendCommand(load->redis, "SET key:%06u %b", keys[i],
				   value, value_bytes(keys[i]));
	}
	for (i = 0; i < nr; i++) {
		if (redisGetReply(load->redis, (void **)&reply) != REDIS_OK)
			return false;
		if (reply->type == REDIS_REPLY_ERROR)
			errx(1, "redis refused a SET: %s", reply->str);
		freeReplyObject(reply);
		load->acked[keys[i]] = versions[i];
		load->per_host[load->host]++;
	}
	return true;
}

static void load_fill(struct load *load)
{
	uint32_t keys[PIPELINE];
	unsigned int key, i;

	load_connect(load);
	for (key = 0; key < KEYS && !stop; key += PIPELINE) {
		for (i = 0; i < PIPELINE; i++)
			keys[i] = key + i;
		if (!load_set(load, keys, PIPELINE))
			errx(1, "connection lost while filling: %s",
			     load->redis->errstr);
	}
}

static void load_pace(const struct timespec *start, uint64_t sets, double rate)
{
	struct timespec now;
	double ahead;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ahead = sets / rate - (now.tv_sec - start->tv_sec) -
		(now.tv_nsec - start->tv_nsec) / 1e9;
	if (ahead > 0)
		usleep(ahead < 0.5 ? ahead * 1e6 : 500000);
}

static void load_run(struct load *load, double rate)
{
	uint64_t state = 88172645463325252ull, sets = 0;
	uint32_t keys[PIPELINE];
	struct timespec start;
	unsigned int i;

	load_connect(load);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!stop) {
		for (i = 0; i < PIPELINE; i++)
			keys[i] = next_random(&state) % KEYS;
		if (!load_set(load, keys, PIPELINE))
			load_reconnect(load);
		sets += PIPELINE;
		load_pace(&start, sets, rate);
	}
	for (i = 0; i < load->nr_hosts; i++)
		printf("%s %llu\n", load->hosts[i],
		       (unsigned long long)load->per_host[i]);
	fprintf(stderr, "redis_load: connections lost: %llu\n",
		(unsigned long long)load->reconnects);
}

/* Says what is wrong with a key, if anything. */
static bool load_check(const struct load *load, uint32_t key,
		       const redisReply *reply)
{
	static char value[MAX_BYTES + sizeof(uint64_t)];
	uint32_t name, version;
	char head[HEAD_BYTES + 1] = "";

	if (reply->type != REDIS_REPLY_STRING || reply->len != value_bytes(key)) {
		fprintf(stderr, "key:%06u: missing or of a wrong length\n", key);
		return false;
	}
	memcpy(head, reply->str, HEAD_BYTES);
	if (sscanf(head, "%8x%8x", &name, &version) != 2 || name != key) {
		fprintf(stderr, "key:%06u: has another key's value\n", key);
		return false;
	}
	if (version < load->acked[key] || version > load->sent[key]) {
		fprintf(stderr, "key:%06u: version %u, but %u was acknowledged and %u sent\n",
			key, version, load->acked[key], load->sent[key]);
		return false;
	}
	value_make(key, version, value);
	if (memcmp(value, reply->str, reply->len)) {
		fprintf(stderr, "key:%06u: version %u has wrong bytes\n", key,
			version);
		return false;
	}
	return true;
}

static int load_verify(struct load *load)
{
	unsigned int key, i, bad = 0;
	redisReply *reply;

	load_connect(load);
	redisSetTimeout(load->redis, (struct timeval){ .tv_sec = 30 });
	for (key = 0; key < KEYS; key += PIPELINE) {
		for (i = 0; i < PIPELINE; i++)
			redisAppendCommand(load->redis, "GET key:%06u", key + i);
		for (i = 0; i < PIPELINE; i++) {
			if (redisGetReply(load->redis, (void **)&reply) != REDIS_OK)
				errx(1, "connection lost while reading back: %s",
				     load->redis->errstr);
			bad += !load_check(load, key + i, reply);
			freeReplyObject(reply);
		}
	}
	printf("%u keys checked, %u wrong\n", KEYS, bad);
	return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
	static struct load load;

	if (argc < 4)
		errx(2, "usage: redis_load fill|run|verify HOST[,HOST]... ACKS [RATE]");
	signal(SIGTERM, on_term);
	signal(SIGPIPE, SIG_IGN);
	load_hosts(&load, argv[2]);
	load_open(&load, argv[3]);
	if (!strcmp(argv[1], "verify"))
		return load_verify(&load);
	if (!strcmp(argv[1], "fill"))
		load_fill(&load);
	else if (!strcmp(argv[1], "run") && argc == 5)
		load_run(&load, atof(argv[4]));
	else
		errx(2, "unknown verb or missing rate");
	load_save(&load, argv[3]);
	return 0;
}
