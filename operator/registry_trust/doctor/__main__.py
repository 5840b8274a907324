"""`python -m registry_trust.doctor` is the command `registry-trust doctor`."""

import sys

from registry_trust.doctor.command import main

sys.exit(main())
