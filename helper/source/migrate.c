// SPDX-License-Identifier: GPL-2.0
#include "base/report.h"
#include "source/migrate.h"
#include "source/migration.h"

int migrate_main(int argc, char **argv)
{
	struct migrate_options opts;
	int code = migrate_options_parse(argc, argv, &opts);

	if (code >= 0)
		return code;
	report_init(opts.json);
	return migration_run(&opts);
}
