// What applications require of authentication and authorization, with the client in headless Chromium.
import { nothingLogged, requirements } from '../auth-scenarios.mjs';
import { PageWorld } from './page-fixture.mjs';

requirements(PageWorld);
nothingLogged();
