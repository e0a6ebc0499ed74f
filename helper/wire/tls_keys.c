// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "os/safe_dir.h"
#include "wire/tls_keys.h"
#include "wire/unix.h"

#define KEYGEN_HINT	"make keys with \"migrate-helper keygen\" and give both ends --tls-psk or --tls-dir; or use unix:PATH, which ssh -L carries to another machine; or say --insecure on both sides if the network is yours alone"

static const char *const names[TLS_FILES] = {
	[TLS_FILE_PSK] = TLS_PSK_NAME, [TLS_FILE_CERT] = TLS_CERT_NAME,
	[TLS_FILE_KEY] = TLS_KEY_NAME, [TLS_FILE_CA] = TLS_CA_NAME,
};

static bool is_secret(enum tls_file file)
{
	return file == TLS_FILE_PSK || file == TLS_FILE_KEY;
}

static int set_path(struct tls_keys *keys, enum tls_file file, const char *dir, struct error *err)
{
	int len = dir ? snprintf(keys->paths[file], PATH_MAX, "%s/%s", dir, names[file]) : 0;

	return len < PATH_MAX ? 0 : error_set(err, CODE_USAGE, NULL, "the path of --tls-dir is too long");
}

/* A key that another user can read or put there is no proof of anything. */
static int check_file(int fd, const char *path, bool secret, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return error_errno(err, CODE_NOT_READY, NULL, "cannot look at %s", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, CODE_NOT_READY, NULL, "%s is no regular file", path);
	if (st.st_uid && st.st_uid != geteuid())
		return error_set(err, CODE_NOT_READY, "give it to root (chown root)",
				 "%s belongs to another user", path);
	if (st.st_mode & (secret ? 077 : 022))
		return error_set(err, CODE_NOT_READY, secret ? "chmod 600" : "chmod 644",
				 "other users can %s %s", secret ? "read" : "write to", path);
	return 0;
}

static int open_file(const char *path, bool secret, struct error *err)
{
	char dir[PATH_MAX];
	int dir_fd, fd;

	snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path + 1), path);
	dir_fd = safe_dir_open(dir, false, err);
	if (dir_fd < 0)
		return -1;
	fd = openat(dir_fd, strrchr(path, '/') + 1, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	close(dir_fd);
	if (fd < 0)
		return error_errno(err, CODE_NOT_READY, "\"migrate-helper keygen\" makes keys",
				   "cannot open %s", path);
	if (!check_file(fd, path, secret, err))
		return fd;
	close(fd);
	return -1;
}

void tls_keys_close(int fds[TLS_FILES])
{
	for (size_t i = 0; i < TLS_FILES; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

int tls_keys_open(const struct tls_keys *keys, int fds[TLS_FILES], struct error *err)
{
	int ret = 0;

	for (size_t i = 0; i < TLS_FILES; i++)
		fds[i] = -1;
	for (size_t i = 0; i < TLS_FILES && !ret; i++) {
		if (!*keys->paths[i])
			continue;
		fds[i] = open_file(keys->paths[i], is_secret(i), err);
		ret = fds[i] < 0 ? -1 : 0;
	}
	if (ret)
		tls_keys_close(fds);
	return ret;
}

/* A directory has certificates, or else pre-shared keys. */
static int look_into(struct tls_keys *keys, const char *dir, struct error *err)
{
	if (set_path(keys, TLS_FILE_CERT, dir, err))
		return -1;
	if (!access(keys->paths[TLS_FILE_CERT], F_OK)) {
		keys->proof = TLS_CERTIFICATE;
		return set_path(keys, TLS_FILE_KEY, dir, err) || set_path(keys, TLS_FILE_CA, dir, err) ?
		       -1 : 0;
	}
	*keys->paths[TLS_FILE_CERT] = 0;
	if (set_path(keys, TLS_FILE_PSK, dir, err))
		return -1;
	if (!access(keys->paths[TLS_FILE_PSK], F_OK)) {
		keys->proof = TLS_PSK;
		return 0;
	}
	return error_set(err, CODE_NOT_READY, "\"migrate-helper keygen\" makes keys",
			 "%s has neither " TLS_CERT_NAME " nor " TLS_PSK_NAME, dir);
}

static int check_words(const struct tls_options *opts, struct error *err)
{
	if (opts->psk && opts->dir)
		return error_set(err, CODE_USAGE, NULL, "--tls-psk and --tls-dir exclude each other");
	if (opts->insecure && (opts->psk || opts->dir || opts->allow))
		return error_set(err, CODE_USAGE, NULL,
				 "--insecure means no TLS: --tls-psk, --tls-dir and --allow cannot be had with it");
	if ((opts->psk && *opts->psk != '/') || (opts->dir && *opts->dir != '/') ||
	    (opts->allow && *opts->allow != '/'))
		return error_set(err, CODE_USAGE, NULL,
				 "--tls-psk, --tls-dir and --allow want absolute paths");
	return 0;
}

/* Without a word of the user the default directory counts, if there is one. */
static int choose(struct tls_keys *keys, const struct tls_options *opts, const char *what,
		  const char *hint, struct error *err)
{
	if (opts->psk) {
		keys->proof = TLS_PSK;
		snprintf(keys->paths[TLS_FILE_PSK], PATH_MAX, "%s", opts->psk);
	} else if (opts->dir || !access(TLS_DEFAULT_DIR, F_OK)) {
		return look_into(keys, opts->dir ?: TLS_DEFAULT_DIR, err);
	} else {
		return error_set(err, CODE_USAGE, hint,
				 "there are no keys for TLS, and memory would go over \"%.100s\" without encryption",
				 what);
	}
	return 0;
}

int tls_keys_choose(struct tls_keys *keys, const struct tls_options *opts, const char *what, const char *hint,
		    struct error *err)
{
	int fds[TLS_FILES];

	memset(keys, 0, sizeof(*keys));
	keys->no_ktls = opts->no_ktls;
	if (check_words(opts, err) || choose(keys, opts, what, hint, err))
		return -1;
	if (opts->allow)
		snprintf(keys->paths[TLS_FILE_ALLOW], PATH_MAX, "%s", opts->allow);
	if (tls_keys_open(keys, fds, err))
		return -1;
	tls_keys_close(fds);
	return 0;
}

int tls_keys_find(struct tls_keys *keys, const struct tls_options *opts, const char *where,
		  struct error *err)
{
	memset(keys, 0, sizeof(*keys));
	keys->no_ktls = opts->no_ktls;
	if (check_words(opts, err))
		return -1;
	if (unix_path(where) && opts->allow)
		return error_set(err, CODE_USAGE, "the socket's mode says who may send",
				 "--allow is for TCP: a UNIX socket has no TLS");
	if (opts->insecure || unix_path(where))
		return 0;
	return tls_keys_choose(keys, opts, where, KEYGEN_HINT, err);
}
