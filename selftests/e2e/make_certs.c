// SPDX-License-Identifier: GPL-2.0
/*
 * Makes certificates for TLS in a directory: ca.pem, cert.pem and key.pem for 127.0.0.1; other.pem and other-key.pem
 * for another name; revoked.pem and revoked-key.pem, which crl.pem revokes; alien.pem and alien-key.pem of
 * another authority.
 * Usage: make_certs DIR
 */
#include "tests/certificates.h"

int main(int argc, char **argv)
{
	int dir_fd = argc == 2 ? open(argv[1], O_DIRECTORY | O_CLOEXEC) : -1;
	struct authority ca, stranger;

	cert_need(dir_fd >= 0, "open the directory");
	ca = authority_make(dir_fd, "ca.pem");
	stranger = authority_make(dir_fd, "stranger.pem");
	authority_sign(&ca, dir_fd, "cert.pem", "key.pem", "127.0.0.1", 2, 0);
	authority_sign(&ca, dir_fd, "other.pem", "other-key.pem", "other.example", 3, 0);
	authority_sign(&ca, dir_fd, "revoked.pem", "revoked-key.pem", "127.0.0.1", 5, 0);
	authority_sign(&stranger, dir_fd, "alien.pem", "alien-key.pem", "127.0.0.1", 4, 0);
	authority_revoke(&ca, dir_fd, "crl.pem", 5);
	return 0;
}
