// Scenarios of authentication and authorization in applications, with the client in headless
// Chromium.
import { authScenarios, noTokenIsLogged } from '../auth-scenarios.mjs';
import { PageFixture } from './page-fixture.mjs';

authScenarios(PageFixture);
noTokenIsLogged();
