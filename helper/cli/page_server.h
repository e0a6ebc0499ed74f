/* SPDX-License-Identifier: GPL-2.0 */
#ifndef MIGRATE_CLI_PAGE_SERVER_H
#define MIGRATE_CLI_PAGE_SERVER_H

/** page_server_main() - the verb `page-server`: write the pages of dumps of CRIU. Return: enum exit_code */
int page_server_main(int argc, char **argv);

#endif
